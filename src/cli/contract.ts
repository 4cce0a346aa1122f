// `icrl contract`: rolls out one step of a recipe or a run, checks that what would be trained is
// what was sampled, and shows one rollout in the colours of who wrote it. Nothing is trained.

import type { Command } from "commander";
import { collect } from "./options.ts";

interface Options {
  readonly recipe?: string;
  readonly run?: string;
  readonly set?: readonly string[];
}

export function register(program: Command): void {
  program
    .command("contract")
    .description("check on real rollouts that what is trained is what was sampled")
    .option("--recipe <name|file>", "an embedded recipe or a YAML file (default: nano)")
    .option("--run <folder>", "a run instead, or one of its checkpoints: folder@stage1")
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .action(run);
}

async function run({ recipe, run: spec, set = [] }: Options): Promise<void> {
  const { checkSession } = await import("../train/contract-step.ts");
  const { rolloutLines } = await import("./screen/rollout.ts");
  const { outputOf } = await import("./screen/screen.ts");
  await using opened = await openPolicy(recipe, spec, set);
  const { session } = opened;
  const { rollout, numRollouts, numTrained } = await checkSession(session);
  const { columns, style } = outputOf(process.stdout, process.env);
  const decode = (ids: ArrayLike<number>): string => session.tokenizer.decode(ids);
  const lines = rolloutLines(rollout, decode, columns() - 1, style);
  const kept =
    `contract kept: ${numRollouts} rollouts, ${numTrained} sampled tokens, each trained once ` +
    "under the context it was sampled under";
  process.stdout.write(`${[...lines, "", kept].join("\n")}\n`);
}

async function openPolicy(
  recipe: string | undefined,
  spec: string | undefined,
  set: readonly string[],
) {
  if (spec !== undefined) {
    const { openCheckpoint } = await import("../train/open-checkpoint.ts");
    return openCheckpoint(spec, set);
  }
  const { openRecipe } = await import("../train/open-checkpoint.ts");
  const { defaultRecipe } = await import("../config/embedded.ts");
  return openRecipe(recipe ?? defaultRecipe, set);
}
