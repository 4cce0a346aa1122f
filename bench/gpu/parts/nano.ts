// Does nano learn on the device what it learns on a CPU? A run of its own process.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bench } from "../../bench.ts";
import { type Figure, valueAtLeast } from "../../figure.ts";
import { thisProgram } from "../../suite.ts";
import type { GpuWork } from "../work.ts";

/** What a run on a CPU reaches with every seed (README: 0.985 and more). */
const LEAST_EM = 0.95;

interface Evaluation {
  readonly stage: string;
  readonly shots: number;
  readonly em: number;
}

export async function nano({ device, work }: Bench<GpuWork>): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "icrl-bench-"));
  try {
    const short = work.trainsNano ? [] : SHORT;
    const where = ["--set", `policy.device=${device}`, "--run", join(folder, "run")];
    const args = ["run", "stage1..3", "--seed", "1", "--json", ...where, ...short];
    const start = performance.now();
    const evals = summaryOf([...thisProgram(), ...args]);
    return figures(evals, (performance.now() - start) / 1000, device);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SHORT = [
  ...[0, 1, 2].map((stage) => `stages.${stage}.steps=1`),
  "stages.2.gate.zero_shot_em=0",
  "rollout.prompts_per_step=2",
  "rollout.samples_per_prompt=2",
  "eval.limit=2",
  "eval.shots=[0]",
].flatMap((each) => ["--set", each]);

function summaryOf(command: readonly string[]): readonly Evaluation[] {
  const run = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  if (!run.success) throw new Error(`icrl run: ${run.stderr.toString().trim()}`);
  const last = run.stdout.toString().trim().split("\n").at(-1)!;
  return (JSON.parse(last) as { readonly evals: readonly Evaluation[] }).evals;
}

function figures(evals: readonly Evaluation[], seconds: number, device: string): Figure[] {
  const after = evals.filter(({ stage, shots }) => stage === "stage3" && shots === 0);
  const curve = evals.filter(({ shots }) => shots === 0).map(({ stage, em }) => `${stage} ${em}`);
  return [
    {
      key: "gpu.nano",
      what: `nano, stages 1 to 3 on ${device}: EM without demonstrations`,
      value: after.at(-1)?.em ?? NaN,
      unit: "share",
      wanted: valueAtLeast(LEAST_EM),
      note: `${curve.join(", ")}; seed 1`,
    },
    {
      key: "gpu.nano.seconds",
      what: "of it, evaluations included",
      value: seconds,
      unit: "s",
    },
  ];
}
