// `icrl demos`: checks a file of demonstrations against a tag profile, and prints those inside the
// executable.

import type { Command } from "commander";
import { suggestion, UserError } from "../config/errors.ts";
import type { Demonstration } from "../types.ts";

export function register(program: Command): void {
  const demos = program.command("demos").description("check or print demonstrations");
  demos
    .command("check")
    .description("check a file of demonstrations against a tag profile, and show its sizes")
    .argument("<file>", "a YAML file, or a name inside the executable: search")
    .option("--tags <profile>", "the tag profile", "icrl")
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
  readonly model?: string;
}

async function check(file: string, { tags: name, model }: Options): Promise<void> {
  const { openDemonstrations } = await import("../data/demonstration-file.ts");
  const { checkDemonstration } = await import("../rollout/demonstration-check.ts");
  const { tagProfile } = await import("../reward/tags.ts");
  const tags = tagProfile(name);
  const { demonstrations, place } = openDemonstrations(file);
  const faults = demonstrations.flatMap((each, index) =>
    checkDemonstration(tags, each).map(({ path, message }) => {
      return { id: each.id, message, where: place([index, ...path]) };
    }),
  );
  const sizes = await sizesOf(demonstrations, name, model);
  const bad = new Set(faults.map(({ id }) => id));
  process.stdout.write(table(demonstrations, sizes, bad));
  for (const { id, message, where } of faults) {
    process.stdout.write(`${id}: ${message} (${where})\n`);
  }
  if (faults.length === 0) return;
  throw new UserError(faults.length === 1 ? "one fault" : `${faults.length} faults`, {
    where: file,
  });
}

interface Sizes {
  readonly unit: "tokens" | "characters";
  readonly each: readonly number[];
}

/** Of each demonstration as a prompt shows it. */
async function sizesOf(
  demonstrations: readonly Demonstration[],
  profile: string,
  model: string | undefined,
): Promise<Sizes> {
  const { DEFAULT_PROMPT_TEXT, renderDemonstration } = await import("../rollout/template.ts");
  const { tagProfile } = await import("../reward/tags.ts");
  const tags = tagProfile(profile);
  const texts = demonstrations.map((each) => renderDemonstration(DEFAULT_PROMPT_TEXT, tags, each));
  if (model === undefined) return { unit: "characters", each: texts.map(({ length }) => length) };
  const { openPromptModel } = await import("../train/prompt-model.ts");
  const { tokenizer } = openPromptModel({ model });
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
