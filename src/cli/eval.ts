// `icrl eval`: a checkpoint or a model on held-out questions or benchmark files, asked as the
// policy is trained or as one of the baselines. It writes nothing into the run.

import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import { UserError } from "../config/errors.ts";
import type { EvaluationAsked } from "../train/open-evaluation.ts";
import { collect, parseCount, parseDevice, replayed } from "./options.ts";

interface Options {
  readonly run?: string;
  readonly model?: string;
  readonly recipe?: string;
  readonly data?: readonly string[];
  readonly mode: string;
  readonly shots?: number;
  readonly samples: number;
  readonly limit?: number;
  readonly seed?: number;
  readonly device?: DeviceKind;
  readonly set?: readonly string[];
  readonly replay?: string;
  readonly json?: boolean;
}

const MODES = "icrl: demonstrations and tools; baselines: direct, cot, rag";

export function register(program: Command): void {
  program
    .command("eval")
    .description("evaluate a checkpoint of a run, or a model, on held-out questions or files")
    .option("--run <folder>", "a run; folder@stage2 for one checkpoint, folder@base before it")
    .option("--model <model>", "a model instead: a folder, a name in the cache, or nano")
    .option("--recipe <name|file>", "of a model: whose prompts, tool and limits")
    .option("--data <file...>", "files, globs or almanac (default: what the recipe holds out)")
    .option("--mode <mode>", MODES, "icrl")
    .option("--shots <k>", "demonstrations in the prompt (default: 0)", parseCount("--shots", 0))
    .option("--samples <k>", "of each question: avg@k", parseCount("--samples", 1), 1)
    .option("--limit <n>", "questions a file (default: the recipe's)", parseCount("--limit", 1))
    .option("--seed <n>", "of noise and of the questions drawn", parseCount("--seed", 0))
    .option("--device <kind>", "cpu or cuda (default: the recipe's)", parseDevice)
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--replay <file>", "answer for tools from this recording, and ask none of them")
    .option("--json", "one JSON object")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { openEvaluation } = await import("../train/open-evaluation.ts");
  const { evaluateBenchmarks } = await import("../train/evaluate-benchmarks.ts");
  const { reportRecord, reportText } = await import("./eval-report.ts");
  await using opened = await openEvaluation(await askedBy(options));
  const tell = (text: string): void => void process.stderr.write(`${text}\n`);
  opened.notes.forEach(tell);
  const isWatched = process.stderr.isTTY && options.json !== true;
  const report = await evaluateBenchmarks(opened, isWatched ? tell : () => undefined);
  const text = options.json === true ? JSON.stringify(reportRecord(report)) : reportText(report);
  process.stdout.write(`${text}\n`);
}

async function askedBy(options: Options): Promise<EvaluationAsked> {
  const { parseAnswerMode } = await import("../train/answer-modes.ts");
  const { run: spec, model, recipe, data = [], samples, limit, seed, device } = options;
  const mode = parseAnswerMode(options.mode);
  const { shots = 0, set = [] } = options;
  const overrides = [...set, ...replayed(options.replay)];
  if ((spec === undefined) === (model === undefined)) {
    throw usage("give either --run or --model", "--run DIR@stage2, or --model DIR");
  }
  if (spec !== undefined && recipe !== undefined) {
    throw usage("a run has its own recipe", "leave --recipe out; --set changes single values");
  }
  if (shots > 0 && mode !== "icrl") {
    throw usage(`mode ${mode} shows no demonstrations`, "leave --shots out, or use --mode icrl");
  }
  return { run: spec, model, recipe, overrides, device, data, mode, shots, samples, limit, seed };
}

const usage = (what: string, hint: string): UserError => new UserError(what, { hint, exitCode: 2 });
