// `icrl reward`: scores responses from a file, without a policy. One JSON object a line in, the
// same with its reward out.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import { collect } from "./options.ts";
import { rewardProfileNames } from "../reward/profiles.ts";

export function register(program: Command): void {
  program
    .command("reward")
    .description("score responses in a file: rows of prompt, response and golds or tests")
    .option("--profile <name>", `one of: ${rewardProfileNames.join(", ")}`)
    .option("--recipe <name|file>", "the reward of a recipe, read by its tags")
    .option("--set <key=value>", "change the recipe; may be repeated", collect)
    .option("--file-reward <file>", "a reward of your own, in TypeScript or Python")
    .option("--tags <name>", "the tag profile of the responses, where it is another")
    .requiredOption("--file <file>", "one JSON object a line")
    .option("--json", "the same rows with reward and components")
    .action(run);
}

export interface RewardOptions {
  readonly profile?: string;
  readonly recipe?: string;
  readonly set?: readonly string[];
  readonly fileReward?: string;
  readonly tags?: string;
  readonly file: string;
  readonly json?: boolean;
}

async function run(options: RewardOptions): Promise<void> {
  const { openAsked } = await import("./reward-asked.ts");
  const { parseRows, scoreRows } = await import("./reward-rows.ts");
  const { renderJson, renderTable } = await import("./reward-report.ts");
  const { recipe, tags } = openAsked(options);
  const rows = parseRows(await readText(options.file), options.file);
  const { openScorer } = await import("../reward/scorer.ts");
  const print = (text: string): void => void process.stderr.write(text);
  await using scorer = await openScorer(recipe, tags, { print });
  const scored = await scoreRows({ scorer, recipe, tags }, rows);
  process.stdout.write(options.json === true ? renderJson(scored) : renderTable(scored));
}

async function readText(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    throw new UserError("cannot read the rows", {
      where: path,
      hint: error instanceof Error ? error.message : String(error),
    });
  }
}
