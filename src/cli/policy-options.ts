// Which policy a command opens: a run's, a model, or what a person most likely means.

import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import { UserError } from "../config/errors.ts";
import { newestRun } from "../run/newest-run.ts";
import type { PolicyAsked } from "../train/policy-asked.ts";
import { collect, parseDevice } from "./options.ts";

export interface PolicyOptions {
  readonly run?: string;
  readonly model?: string;
  readonly recipe?: string;
  readonly device?: DeviceKind;
  readonly set?: readonly string[];
}

const RUN =
  "a run, folder@stage2 for one checkpoint (default: the newest in ./runs that has one, else nano)";

export function addPolicyOptions(command: Command): Command {
  return command
    .option("--run <folder>", RUN)
    .option("--model <model>", "a model instead: a folder, a name in the cache, or nano")
    .option("--recipe <name|file>", "of a model: whose prompts, tools and limits")
    .option("--device <kind>", "cpu or cuda (default: the recipe's)", parseDevice)
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect);
}

/** Where nothing is named: the newest run under `runs` that has a checkpoint, else nano. */
export function policyOf(options: PolicyOptions, runs = "runs"): PolicyAsked {
  const { run, model, recipe, device, set: overrides = [] } = options;
  if (run !== undefined && model !== undefined) {
    throw usage("give either --run or --model", "--run DIR@stage2, or --model DIR");
  }
  if (run !== undefined && recipe !== undefined) {
    throw usage("a run has its own recipe", "leave --recipe out; --set changes single values");
  }
  const isNamed = run !== undefined || model !== undefined || recipe !== undefined;
  return { run: isNamed ? run : newestRun(runs), model, recipe, overrides, device };
}

const usage = (what: string, hint: string): UserError => new UserError(what, { hint, exitCode: 2 });

/** "runs/nano-seed1@stage3", "nano@base": as people and clients name it. */
export function policyName({ run, model, recipe }: PolicyAsked, stage: string): string {
  if (run === undefined) return model ?? recipe ?? "nano";
  const at = run.lastIndexOf("@");
  return `${at < 0 ? run : run.slice(0, at)}@${stage}`;
}
