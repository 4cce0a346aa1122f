// How long does a person wait for the program itself, and for the three stages of nano? Through the
// executable, once warm.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isExecutable } from "../../ffi/embedded.ts";
import { UserError } from "../../src/config/errors.ts";
import type { Bench } from "../bench.ts";
import { type Figure, valueAtMost } from "../figure.ts";
import { median } from "../timing.ts";

const STARTS = 7;

export async function start(): Promise<readonly Figure[]> {
  const figure = (key: string, args: readonly string[], most: number): Figure => {
    invoke(args);
    const starts = Array.from({ length: STARTS }, () => invoke(args));
    const what = `icrl ${args.join(" ")}`;
    const value = median(starts.map((each) => each.seconds));
    return { key, what, value, unit: "s", wanted: valueAtMost(most) };
  };
  return [figure("start.help", ["--help"], 0.15), figure("start.doctor", ["doctor"], 1)];
}

export async function stagesRun(bench: Bench): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "icrl-bench-"));
  try {
    const short = bench.work.stagePrompts < 16 ? SHORT : [];
    const run = ["run", "stage1..3", "--seed", "1", "--json", "--run", join(folder, "run")];
    const { seconds, peakBytes } = invoke([...run, ...short]);
    const wanted = valueAtMost(120);
    const what = "icrl run stage1..3, nano, evaluations included";
    return [{ key: "run", what, value: seconds, unit: "s", wanted, peakBytes, note: "seed 1" }];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Shows that it runs. */
const SHORT = [0, 1, 2]
  .flatMap((stage) => ["--set", `stages.${stage}.steps=1`])
  .concat("--set", "stages.2.gate.zero_shot_em=0", "--set", "eval.limit=4");

/** The peak is no less than that of this process: it says nothing of short commands. */
function invoke(args: readonly string[]): { seconds: number; peakBytes: number } {
  const started = performance.now();
  const pipes = { stdout: "ignore", stderr: "pipe", stdin: "ignore" } as const;
  const run = Bun.spawnSync([executable(), ...args], pipes);
  const seconds = (performance.now() - started) / 1000;
  if (!run.success) {
    throw new Error(`icrl ${args.join(" ")}: ${run.stderr.toString().trim()}`);
  }
  return { seconds, peakBytes: run.resourceUsage.maxRSS };
}

/** The built one, so that the launcher's look at the sources is not part of it. */
function executable(): string {
  if (isExecutable()) return process.execPath;
  const built = resolve(import.meta.dir, "../../dist/icrl");
  if (existsSync(built)) return built;
  throw new UserError("there is no dist/icrl to start", { hint: "ICRL_SETUP_ONLY=1 ./icrl" });
}
