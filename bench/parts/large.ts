// What does a step of a policy of 0.5B's shape take, and what share of the machine's matrix-product
// rate does its update reach?

import type { PolicyConfig } from "../../ffi/policy.ts";
import { type Bench, peakFlops } from "../bench.ts";
import { type Figure, valueAtLeast } from "../figure.ts";
import { updateFlops } from "../flops.ts";
import { shapeText } from "../shapes.ts";
import {
  distinctOf,
  type GradientTiming,
  rowsOf,
  type StepTiming,
  timeGradients,
  timeStep,
} from "../step.ts";
import { median, peakResidentBytes } from "../timing.ts";
import { randomPrompts, sampleAll, Worker } from "../work.ts";

const ROUNDS = 2; // each takes half a minute

export async function large(bench: Bench): Promise<readonly Figure[]> {
  const { largeStep: shape, large: name } = bench.work;
  using worker = Worker.open(bench.device, name, [shape], { trains: true });
  const { trainer, policy, engine } = worker;
  const prompts = randomPrompts(shape, policy.config.vocab);
  const steps: StepTiming[] = [];
  for (let seed = 0; seed <= ROUNDS; seed++) {
    steps.push(await timeStep(worker, prompts, shape, seed));
  }
  steps.shift(); // the warm-up, of full size: the first touch of memory can cost more than the work
  const rollouts = await sampleAll(engine, prompts, shape, ROUNDS + 1);
  const gradients = timeGradients(trainer, rollouts, { share: true });
  const peakBytes = peakResidentBytes();
  const times = timeFigures(steps, gradients);
  times[0] = { ...times[0]!, what: `whole GRPO step, ${name} shape`, peakBytes, note: shapeText(shape) };
  const updateMs = median(steps.map((step) => step.updateMs));
  return [...times, ...rateFigures(gradients, updateMs, policy.config, peakFlops(bench.limits()))];
}

function timeFigures(steps: readonly StepTiming[], { batches }: GradientTiming): Figure[] {
  const figure = (key: string, what: string, of: (step: StepTiming) => number): Figure => {
    return { key: `large.${key}`, what, value: median(steps.map(of)) / 1000, unit: "s" };
  };
  const tokens = `${rowsOf(batches)} row tokens are ${distinctOf(batches)} distinct ones`;
  return [
    figure("step", "whole GRPO step", (step) => step.ms),
    figure("generate", "of it, sampling", (step) => step.generateMs),
    { ...figure("update", "of it, update", (step) => step.updateMs), note: tokens },
  ];
}

function rateFigures(
  { batches, ms, forwardMs, backwardMs }: GradientTiming,
  updateMs: number,
  config: PolicyConfig,
  peak: number,
): Figure[] {
  const { useful, recomputed } = updateFlops(config, batches);
  const share = (flops: number, duringMs: number): number => (flops * 1000) / duringMs / peak;
  const done = `${(100 * share(useful + recomputed, ms)).toFixed(0)} % with what is recomputed`;
  const phases = [forwardMs, backwardMs].map((each) => `${(each / 1000).toFixed(1)} s`);
  return [
    {
      key: "large.rate",
      what: "FLOP rate of forward and backward, of the peak",
      value: share(useful, ms),
      unit: "%",
      wanted: valueAtLeast(0.6),
      note: `${done}; forward ${phases[0]}, backward ${phases[1]}`,
    },
    {
      key: "large.update-rate",
      what: "the same with the optimizer's step",
      value: share(useful, updateMs),
      unit: "%",
    },
  ];
}
