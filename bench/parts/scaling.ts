// How does the time of a step grow with the samples of a prompt, and with the length of everything?
// The fitted e of time ~ work^e: 1 is proportional. nano's shape.

import type { Bench } from "../bench.ts";
import { type Figure, valueAtMost } from "../figure.ts";
import { shapeText, type StepShape } from "../shapes.ts";
import { type StepTiming, timeStep } from "../step.ts";
import { fitExponent, median, peakResidentBytes, takeTurns } from "../timing.ts";
import { randomPrompts, Worker } from "../work.ts";

const ROUNDS = 2; // the largest takes most of a minute

export async function scaling(bench: Bench): Promise<readonly Figure[]> {
  const { step, samplesTimes, contextTimes } = bench.work;
  const samples = samplesTimes.map((times) => ({ ...step, samples: step.samples * times }));
  const contexts = contextTimes.map((times) => longer(step, times));
  const wider = await measure(bench, samples);
  const deeper = await measure(bench, contexts);
  return [
    ...exponents("samples", samplesTimes, wider, shapeText(samples.at(-1)!)),
    ...exponents("context", contextTimes, deeper, shapeText(contexts.at(-1)!)),
  ];
}

const longer = ({ shared, own, sampled, ...rest }: StepShape, times: number): StepShape => ({
  ...rest,
  shared: shared * times,
  own: own * times,
  sampled: sampled * times,
});

interface Sized {
  readonly steps: readonly (readonly StepTiming[])[]; // by size, then by round
  readonly peakBytes: number;
}

async function measure(bench: Bench, shapes: readonly StepShape[]): Promise<Sized> {
  using worker = Worker.open(bench.device, "nano", shapes, { trains: true });
  let seed = 0;
  const contestants = shapes.map((shape) => {
    const prompts = randomPrompts(shape, worker.policy.config.vocab);
    return (): Promise<StepTiming> => timeStep(worker, prompts, shape, seed++);
  });
  for (const first of contestants.slice(0, 2)) await first(); // warm-up
  const steps = await takeTurns(contestants, ROUNDS);
  return { steps, peakBytes: peakResidentBytes() };
}

function exponents(
  name: string,
  times: readonly number[],
  { steps, peakBytes }: Sized,
  note: string,
): Figure[] {
  const fitted = (of: (step: StepTiming) => number): number =>
    fitExponent(times, steps.map((rounds) => median(rounds.map(of))));
  const seconds = steps.map((rounds) => median(rounds.map(({ ms }) => ms / 1000)).toFixed(2));
  const figure = (key: string, what: string, of: (step: StepTiming) => number): Figure => {
    return { key: `scaling.${name}${key}`, what, value: fitted(of), unit: "exponent" };
  };
  const whole = figure("", `step time by ${name}, nano`, (step) => step.ms);
  const measured = times.map((each, i) => `${each}x ${seconds[i]} s`).join(", ");
  return [
    {
      ...whole,
      peakBytes,
      note: `${measured}; the last: ${note}`,
      ...(name === "samples" ? { wanted: valueAtMost(1.1) } : {}),
    },
    figure(".generate", "of it, sampling", (step) => step.generateMs),
    figure(".update", "of it, update", (step) => step.updateMs),
  ];
}
