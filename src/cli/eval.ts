// `icrl eval`: a checkpoint of a run on the held-out questions, at one number of shots. It writes
// nothing into the run.

import type { Command } from "commander";
import type { Evaluation } from "../run/metrics.ts";
import { collect, parseCount } from "./options.ts";

interface Options {
  readonly run: string;
  readonly shots: number;
  readonly limit?: number;
  readonly set?: readonly string[];
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("eval")
    .description("evaluate a checkpoint of a run on the held-out questions")
    .requiredOption(
      "--run <folder>",
      "a run; folder@stage2 for one checkpoint, folder@base before it",
    )
    .requiredOption("--shots <k>", "demonstrations in the prompt", parseCount("--shots", 0))
    .option("--limit <n>", "questions (default: the recipe's)", parseCount("--limit", 1))
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--json", "one JSON object")
    .action(run);
}

async function run({ run: spec, shots, limit, set = [], json }: Options): Promise<void> {
  const { openCheckpoint } = await import("../train/open-checkpoint.ts");
  const { evaluateHeldOut } = await import("../train/evaluate.ts");
  const { evaluationRecord } = await import("./screen/json.ts");
  using opened = await openCheckpoint(spec, set);
  const { evaluation } = await evaluateHeldOut(opened.session, { ...opened, shots, limit });
  const text = json ? JSON.stringify(evaluationRecord(evaluation)) : describe(evaluation);
  process.stdout.write(`${text}\n`);
}

function describe(evaluation: Evaluation): string {
  const { stage, step, shots, numSamples, em, emByHops, validFormat, toolCalls } = evaluation;
  const hops = Object.entries(emByHops).map(([kind, value]) => `${kind}-hop ${value.toFixed(3)}`);
  return [
    `${stage} (step ${step}), ${shots} shots, ${numSamples} held-out questions`,
    `  EM            ${em.toFixed(3)}${hops.length > 0 ? `  (${hops.join(", ")})` : ""}`,
    `  valid format  ${validFormat.toFixed(3)}`,
    `  tool calls    ${toolCalls.toFixed(2)} a rollout`,
  ].join("\n");
}
