// `icrl sft`: the fine-tuning baseline, from the successful rollouts of a run that is recorded.
// Options and what is printed; the training itself is train/sft.ts.

import { Option, type Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import { UserError } from "../config/errors.ts";
import { Interrupt } from "./interrupt.ts";
import { collect, parseCount, parseDevice } from "./options.ts";

interface Options {
  readonly run: string;
  readonly from: string;
  readonly stages?: string;
  readonly minReward: number;
  readonly demonstrations: "keep" | "drop";
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate?: number;
  readonly out?: string;
  readonly device?: DeviceKind;
  readonly set?: readonly string[];
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("sft")
    .description("fine-tune on a run's own successful rollouts: the baseline of RL")
    .requiredOption("--run <folder>", "a run whose rollouts are recorded")
    .option("--from <checkpoint>", "the policy to start from: base, stage1, ...", "base")
    .option("--stages <range>", "take rollouts of stage1, stage1..2, ... (default: of all)")
    .option("--min-reward <r>", "successful is a reward of at least r", parseReward, 1)
    .addOption(
      new Option("--demonstrations <what>", "of the prompts: drop, or keep as they were shown")
        .choices(["drop", "keep"])
        .default("drop"),
    )
    .option("--epochs <n>", "passes over the rollouts", parseCount("--epochs", 1), 3)
    .option("--batch-size <n>", "rollouts of a step", parseCount("--batch-size", 1), 32)
    .option("--learning-rate <x>", "its peak (default: the recipe's)", parseRate)
    .option("--out <folder>", "a new run folder (default: runs/NAME-sft)")
    .option("--device <kind>", "cpu or cuda (default: the recipe's)", parseDevice)
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--json", "one JSON object a line; the last one is the summary")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { openSft } = await import("../train/open-sft.ts");
  const { fineTune } = await import("../train/sft.ts");
  const { jsonScreen, peopleScreen } = await import("./sft-screen.ts");
  const { outputOf } = await import("./screen/screen.ts");
  const { onDevice } = await import("../train/policy-asked.ts");
  const { set = [], device, json = false, stages, learningRate, out, ...rest } = options;
  const overrides = [...onDevice(device), ...set];
  await using opened = await openSft({ ...rest, stages, learningRate, out, overrides });
  const output = outputOf(process.stdout, process.env);
  const screen = json ? jsonScreen(output.write) : peopleScreen(output);
  using interrupt = new Interrupt((text) => void process.stderr.write(`${text}\n`));
  const shouldStop = (): boolean => interrupt.requested;
  const end = await fineTune({ ...opened, observer: screen, shouldStop });
  screen.onEnd(end);
  if (end.outcome === "interrupted") process.exitCode = 130;
}

function parseReward(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  const hint = "a number, such as 1 or 0.8";
  throw new UserError(`"${text}" is no value for --min-reward`, { hint, exitCode: 2 });
}

function parseRate(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  const hint = "a number above 0, such as 1e-5";
  throw new UserError(`"${text}" is no value for --learning-rate`, { hint, exitCode: 2 });
}
