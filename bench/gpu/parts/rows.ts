// What does an update take where nothing is shared, against transformers with PyTorch's fused
// attention on the same rows? Forward and backward, without the optimizer.

import { type Bench, policyArguments } from "../../bench.ts";
import { type Figure, ratioAtLeast } from "../../figure.ts";
import type { Answer } from "../../opponents.ts";
import { type GradientTiming, timeGradients } from "../../step.ts";
import { shapeText } from "../../shapes.ts";
import { median, pairedRatio, takeTurns } from "../../timing.ts";
import { randomPrompts } from "../../work.ts";
import { ADAMW, Opened } from "../policy.ts";
import { madeUpRollouts } from "../rollouts.ts";
import type { GpuWork } from "../work.ts";

export async function rows(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy: name, rows: { step, micro } } = bench.work;
  using opened = Opened.open(bench.device, name, { trainer: ADAMW });
  const { trainer, policy } = opened;
  const shape = { ...step, observation: 0 };
  const prompts = randomPrompts(shape, policy.config.vocab);
  const rollouts = madeUpRollouts(prompts, shape, policy.config.vocab);
  const ours = (): GradientTiming => timeGradients(trainer, rollouts, { share: false });
  ours(); // warm-up
  const work = { policy: policyArguments(policy.config), shape: step, micro, device: bench.device };
  using peer = await bench.opponents.script("update", ["torch", "transformers"], work);
  const contestants = [ours, ...(peer === undefined ? [] : [(): Promise<Answer> => peer.ask()])];
  const [a, b = []] = await takeTurns<GradientTiming | Answer>(contestants, bench.repeats);
  const mine = (a as GradientTiming[]).map(({ ms }) => ms / 1000);
  const answers = b as Answer[];
  const others = answers.map(({ seconds }) => seconds);
  const peak = answers.at(-1)?.peak_bytes;
  const other = { name: "transformers, sdpa", value: median(others), peakBytes: peak };
  return [
    {
      key: "gpu.rows",
      what: `forward and backward of ${rollouts.length} rows, nothing shared`,
      value: median(mine),
      unit: "s",
      ...(answers.length > 0 ? { other, ratio: pairedRatio(mine, others) } : {}),
      wanted: ratioAtLeast(1.2),
      note: `${shapeText(step)}; ${micro} rows at a time there`,
    },
  ];
}
