// `icrl demos`: checks a file of demonstrations against a tag profile, and prints those inside the
// executable.

import type { Command } from "commander";
import { suggestion, UserError } from "../config/errors.ts";
import type { TagProfile, ToolTag } from "../reward/tags.ts";
import type { Demonstration } from "../types.ts";

export function register(program: Command): void {
  const demos = program.command("demos").description("check or print demonstrations");
  demos
    .command("check")
    .description("check a file of demonstrations against a tag profile, and show its sizes")
    .argument("<file>", "a YAML file, or a name inside the executable: search")
    .option("--tags <profile>", "the tag profile", "icrl")
    .option(
      "--tools <names>",
      "tools of the recipe, in order, as search,python (default: as named)",
    )
    .option("--model <folder|name>", "whose tokens are counted (default: characters)")
    .action(check);
  demos
    .command("show")
    .description("print demonstrations of the executable, to change them")
    .argument("<name>", "search")
    .action(show);
}

interface Options {
  readonly tags: string;
  readonly tools?: string;
  readonly model?: string;
}

async function check(file: string, { tags: profile, tools, model }: Options): Promise<void> {
  const { openDemonstrations } = await import("../data/demonstration-file.ts");
  const { checkDemonstration } = await import("../rollout/demonstration-check.ts");
  const { tagProfile } = await import("../reward/tags.ts");
  const { demonstrations, place } = openDemonstrations(file);
  const tags = tagProfile(profile, await toolTags(tools?.split(",") ?? named(demonstrations)));
  const faults = demonstrations.flatMap((each, index) =>
    checkDemonstration(tags, each).map(({ path, message }) => {
      return { id: each.id, message, path, where: place([index, ...path]) };
    }),
  );
  if (!faults.some(({ path }) => path.at(-1) === "tool")) {
    const bad = new Set(faults.map(({ id }) => id));
    process.stdout.write(table(demonstrations, await sizesOf(demonstrations, tags, model), bad));
  }
  for (const { id, message, where } of faults) {
    process.stdout.write(`${id}: ${message} (${where})\n`);
  }
  if (faults.length === 0) return;
  throw new UserError(faults.length === 1 ? "one fault" : `${faults.length} faults`, {
    where: file,
  });
}

/** The tools that turns name, in order; undefined where none does. */
function named(demonstrations: readonly Demonstration[]): readonly string[] | undefined {
  const names = demonstrations.flatMap(({ turns }) => turns.flatMap(({ tool }) => tool ?? []));
  return names.length === 0 ? undefined : [...new Set(names)];
}

const PARAMETERS: Readonly<Record<string, string>> = { search: "query", python: "code" };

/** As a recipe that says no more than their names would have them. */
async function toolTags(names: readonly string[] | undefined): Promise<ToolTag[] | undefined> {
  const { tagWord } = await import("../config/tool-recipe.ts");
  return names?.map((name) => {
    return { name, tag: tagWord(name), textParameter: PARAMETERS[name] ?? "input" };
  });
}

interface Sizes {
  readonly unit: "tokens" | "characters";
  readonly each: readonly number[];
}

/** Of each demonstration as a prompt shows it. */
async function sizesOf(
  demonstrations: readonly Demonstration[],
  tags: TagProfile,
  model: string | undefined,
): Promise<Sizes> {
  const { renderDemonstration } = await import("../rollout/demonstration-text.ts");
  const { defaultPromptText } = await import("../rollout/words.ts");
  const words = defaultPromptText(tags);
  const texts = demonstrations.map((each) => renderDemonstration(words, tags, each));
  if (model === undefined) return { unit: "characters", each: texts.map(({ length }) => length) };
  const { modelFolder } = await import("../train/models.ts");
  const { openTokenizer } = await import("../model/tokenizer-folder.ts");
  const tokenizer = openTokenizer(modelFolder({ model }));
  return { unit: "tokens", each: texts.map((text) => tokenizer.encodePlain(text).length) };
}

/** A line a demonstration; `in all` is what showing it and those before costs a prompt. */
function table(
  demonstrations: readonly Demonstration[],
  { unit, each }: Sizes,
  bad: ReadonlySet<string>,
): string {
  const width = Math.max(2, ...demonstrations.map(({ id }) => id.length));
  const header = `${"id".padEnd(width)}  calls  ${unit.padStart(10)}  ${"in all".padStart(10)}`;
  let sum = 0;
  const lines = demonstrations.map(({ id, turns }, index) => {
    sum += each[index]!;
    const calls = turns.filter(({ toolCall }) => toolCall !== undefined).length;
    const figures = `${String(each[index]).padStart(10)}  ${String(sum).padStart(10)}`;
    const verdict = bad.has(id) ? "FAULT" : "ok";
    return `${id.padEnd(width)}  ${String(calls).padStart(5)}  ${figures}  ${verdict}`;
  });
  return [header, ...lines, ""].map((line) => `${line}\n`).join("");
}

async function show(name: string): Promise<void> {
  const { embeddedDemonstrations } = await import("../config/embedded.ts");
  const text = Object.hasOwn(embeddedDemonstrations, name)
    ? embeddedDemonstrations[name]
    : undefined;
  if (text !== undefined) return void process.stdout.write(text);
  const hint = suggestion(name, Object.keys(embeddedDemonstrations));
  throw new UserError(`unknown demonstrations "${name}"`, { hint });
}
