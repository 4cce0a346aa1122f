// What does a step of a policy of 0.5B's shape take, and what share of the machine's matrix-product
// rate does its update reach?

import { type Bench, peakFlops } from "../bench.ts";
import { type Figure, valueAtLeast } from "../figure.ts";
import { updateFlops } from "../flops.ts";
import { shapeText } from "../shapes.ts";
import { distinctOf, rowsOf, type StepTiming, timeGradients, timeStep } from "../step.ts";
import { median, peakResidentBytes } from "../timing.ts";
import { randomPrompts, sampleAll, Worker } from "../work.ts";

const ROUNDS = 2; // each takes half a minute

export async function large(bench: Bench): Promise<readonly Figure[]> {
  const { largeStep: shape, large: name } = bench.work;
  using worker = Worker.open(bench.device, name, [shape], { trains: true });
  const { trainer, policy, engine } = worker;
  const prompts = randomPrompts(shape, policy.config.vocab);
  await warmUp(worker);
  const steps: StepTiming[] = [];
  for (let seed = 0; seed < ROUNDS; seed++) {
    steps.push(await timeStep(worker, prompts, shape, seed));
  }
  const rollouts = await sampleAll(engine, prompts, shape, ROUNDS);
  const gradients = timeGradients(trainer, rollouts, { share: true });
  const peakBytes = peakResidentBytes();
  const { useful, recomputed } = updateFlops(policy.config, gradients.batches);
  const peak = peakFlops(bench.limits());
  const rate = (flops: number, ms: number): number => (flops * 1000) / ms / peak;
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
  const { batches, forwardMs, backwardMs, ms } = gradients;
  const seconds = (of: (step: StepTiming) => number): number =>
    median(steps.map(of)) / 1000;
  const updateMs = median(steps.map((step) => step.updateMs));
  return [
    {
      key: "large.step",
      what: `whole GRPO step, ${name} shape`,
      value: seconds((step) => step.ms),
      unit: "s",
      peakBytes,
      note: shapeText(shape),
    },
    {
      key: "large.generate",
      what: "of it, sampling",
      value: seconds((step) => step.generateMs),
      unit: "s",
    },
    {
      key: "large.update",
      what: "of it, update",
      value: updateMs / 1000,
      unit: "s",
      note: `${rowsOf(batches)} row tokens are ${distinctOf(batches)} distinct ones`,
    },
    {
      key: "large.rate",
      what: "FLOP rate of forward and backward, of the peak",
      value: rate(useful, ms),
      unit: "%",
      wanted: valueAtLeast(0.6),
      note:
        `${percent(rate(useful + recomputed, ms))} with what is recomputed; ` +
        `forward ${(forwardMs / 1000).toFixed(1)} s, backward ${(backwardMs / 1000).toFixed(1)} s`,
    },
    {
      key: "large.update-rate",
      what: "the same with the optimizer's step",
      value: rate(useful, updateMs),
      unit: "%",
    },
  ];
}

/** All memory is touched, at a fraction of the work. */
async function warmUp(worker: Worker): Promise<void> {
  const small = { prompts: 1, samples: 2, shared: 16, own: 4, sampled: 4 };
  const prompts = randomPrompts(small, worker.policy.config.vocab);
  await timeStep(worker, prompts, small, 0);
}
