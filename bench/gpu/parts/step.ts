// How long does a whole step of the paper's first stage take: rollouts that search an index in this
// process, and the update, with the KL reference and without?

import type { Bench } from "../../bench.ts";
import { type Figure, valueAtMost } from "../../figure.ts";
import { numRollouts } from "../../shapes.ts";
import { median } from "../../timing.ts";
import { randomPrompts } from "../../work.ts";
import { ADAMW, Opened } from "../policy.ts";
import { sampleStep, Searcher } from "../rollouts.ts";
import { searchShapeText } from "../text.ts";
import { memoryFigure, timeUpdate, type UpdateTiming } from "../update.ts";
import { cacheTokensOf, type GpuWork, type SearchShape } from "../work.ts";

interface Step {
  readonly sampleSeconds: number;
  readonly update: UpdateTiming;
}

const WITHOUT_SECONDS = 20;
const WITH_SECONDS = 25;

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
    ...figures("gpu.step", "whole step", without, WITHOUT_SECONDS, searchShapeText(shape)),
    ...figures("gpu.step-kl", "whole step with the KL reference", withReference, WITH_SECONDS, searches),
    gapFigure(without),
    memoryFigure("gpu.step-kl", withReference.update),
  ];
}

async function takeStep(
  { engine, trainer, policy, twin }: Opened,
  shape: SearchShape,
  searcher: Searcher,
  seed: number,
  hasReference: boolean,
): Promise<Step> {
  const prompts = randomPrompts(shape, policy.config.vocab);
  const start = performance.now();
  const rollouts = await sampleStep(engine, prompts, shape, searcher, seed);
  const sampleSeconds = (performance.now() - start) / 1000;
  const reference = hasReference ? twin : undefined;
  return { sampleSeconds, update: timeUpdate({ trainer, reference, rollouts }) };
}

function figures(
  key: string,
  what: string,
  { sampleSeconds, update }: Step,
  most: number,
  note: string,
): Figure[] {
  const value = sampleSeconds + update.seconds;
  return [
    { key, what, value, unit: "s", wanted: valueAtMost(most), note },
    { key: `${key}.sample`, what: "of it, rollouts", value: sampleSeconds, unit: "s" },
    { key: `${key}.update`, what: "of it, update", value: update.seconds, unit: "s" },
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
