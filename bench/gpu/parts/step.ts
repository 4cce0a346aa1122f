// How long does a whole step of the paper's first stage take: rollouts that search an index in this
// process, and the update, with the KL reference and without?

import type { Bench } from "../../bench.ts";
import { type Figure, valueAtMost } from "../../figure.ts";
import { numRollouts } from "../../shapes.ts";
import { median } from "../../timing.ts";
import { ADAMW, Opened } from "../policy.ts";
import { Searcher } from "../rollouts.ts";
import { type Step, stepFigures, takeStep } from "../step.ts";
import { searchShapeText } from "../text.ts";
import { memoryFigure } from "../update.ts";
import { cacheTokensOf, type GpuWork } from "../work.ts";

const WITHOUT = { key: "gpu.step", what: "whole step", wanted: valueAtMost(20) };
const WITH = {
  key: "gpu.step-kl",
  what: "whole step with the KL reference",
  wanted: valueAtMost(25),
};

export async function step(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy: name, step: shape, passages } = bench.work;
  using opened = Opened.open(bench.device, name, {
    cacheTokens: cacheTokensOf(shape),
    sequences: numRollouts(shape),
    trainer: ADAMW,
    twin: true,
  });
  using searcher = new Searcher(passages, opened.policy.config.vocab);
  await takeStep(opened, { ...shape, prompts: 2 }, searcher, 0, true); // warm-up
  const without = await takeStep(opened, shape, searcher, 1, false);
  const withReference = await takeStep(opened, shape, searcher, 2, true);
  const searches = `a search takes ${(1000 * median(searcher.seconds)).toFixed(2)} ms`;
  return [
    ...stepFigures(WITHOUT, without, searchShapeText(shape)),
    ...stepFigures(WITH, withReference, searches),
    gapFigure(without),
    memoryFigure("gpu.step-kl", withReference.update),
  ];
}

/** Of a random policy, whose logits are nearly flat: a trained one's are sharper. */
function gapFigure({ update: { gap } }: Step): Figure {
  return {
    key: "gpu.step.gap",
    what: "of it, mean |sampler - trainer logprob|",
    value: gap.sum / Math.max(1, gap.count),
    unit: "nat",
    wanted: valueAtMost(0.002),
    note: `largest ${gap.max.toPrecision(2)}`,
  };
}
