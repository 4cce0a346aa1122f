// `icrl reward`: scores responses from a file, without a policy. One JSON object a line in, the
// same with its reward out.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import { rewardProfile, rewardProfileNames } from "../reward/profiles.ts";

export function register(program: Command): void {
  program
    .command("reward")
    .description("score responses in a file: rows of prompt, response and golds")
    .requiredOption("--profile <name>", `one of: ${rewardProfileNames.join(", ")}`)
    .requiredOption("--file <file>", "one JSON object a line")
    .option("--json", "the same rows with reward and components")
    .action(run);
}

interface Options {
  readonly profile: string;
  readonly file: string;
  readonly json?: boolean;
}

async function run(options: Options): Promise<void> {
  const profile = rewardProfile(options.profile);
  const { parseRows, renderJson, renderTable, scoreRows } = await import("./reward-rows.ts");
  const scored = scoreRows(profile, parseRows(await readText(options.file), options.file));
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
