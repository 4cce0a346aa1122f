// How many tokens a second does a full fine-tuning learn from, at the paper's step, and what share
// of the device's product rate is that? The optimizer's step is part of it.

import { type Bench, peakFlops } from "../../bench.ts";
import { type Figure, valueAtLeast } from "../../figure.ts";
import { randomPrompts } from "../../work.ts";
import { ADAMW, Opened } from "../policy.ts";
import { madeUpRollouts } from "../rollouts.ts";
import { memoryFigure, timeUpdate, type UpdateTiming, usefulFlops } from "../update.ts";
import type { GpuWork } from "../work.ts";
import { searchShapeText } from "../text.ts";

export async function updates(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy: name, step: shape } = bench.work;
  let [timing, flops]: [UpdateTiming | undefined, number] = [undefined, 0];
  {
    using opened = Opened.open(bench.device, name, { trainer: ADAMW });
    const { trainer, policy } = opened;
    const prompts = randomPrompts(shape, policy.config.vocab);
    const rollouts = madeUpRollouts(prompts, shape, policy.config.vocab);
    timeUpdate({ trainer, rollouts: rollouts.slice(0, 2 * shape.samples) }); // warm-up
    timing = timeUpdate({ trainer, rollouts });
    flops = usefulFlops(trainer, rollouts);
  }
  const peak = peakFlops(bench.limits());
  const { rowTokens, distinctTokens, seconds } = timing;
  return [
    {
      key: "gpu.update",
      what: `update, ${name}, full fine-tuning`,
      value: rowTokens / seconds,
      unit: "tok/s",
      wanted: valueAtLeast(75_000),
      note: `${seconds.toFixed(2)} s for ${rowTokens} row tokens, ${distinctTokens} computed; ${searchShapeText(shape)}`,
    },
    {
      key: "gpu.update.mfu",
      what: "of it, FLOP rate of distinct tokens, of the peak",
      value: flops / seconds / peak,
      unit: "%",
      wanted: valueAtLeast(0.4),
      note: `${(flops / 1e12).toPrecision(3)} TFLOP; the peak is ${(peak / 1e12).toPrecision(3)} TFLOP/s`,
    },
    memoryFigure("gpu.update", timing),
  ];
}
