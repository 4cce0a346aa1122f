// How long does a whole GRPO step take, for a policy of nano's shape? Against TRL.

import { type Bench, policyArguments } from "../bench.ts";
import { type Figure, ratioAtLeast } from "../figure.ts";
import type { Answer, Peer } from "../opponents.ts";
import { shapeText } from "../shapes.ts";
import { type StepTiming, timeStep } from "../step.ts";
import { median, pairedRatio, peakResidentBytes, takeTurns } from "../timing.ts";
import { randomPrompts, Worker } from "../work.ts";

const PACKAGES = ["torch", "transformers", "trl", "datasets", "accelerate"];

export async function step(bench: Bench): Promise<readonly Figure[]> {
  const shape = bench.work.step;
  using worker = Worker.open(bench.device, "nano", [shape], { trains: true });
  const prompts = randomPrompts(shape, worker.policy.config.vocab);
  let seed = 0;
  const ours = (): Promise<StepTiming> => timeStep(worker, prompts, shape, seed++);
  await ours(); // warm-up
  const peakBytes = peakResidentBytes();
  const policy = policyArguments(worker.policy.config);
  using trl = await bench.opponents.script("grpo", PACKAGES, { policy, shape });
  const rounds = trl === undefined ? bench.repeats : 3; // TRL's take a while
  const { steps, answers } = await turns(ours, trl, rounds);
  return stepFigures(steps, answers, peakBytes, shapeText(shape));
}

async function turns(
  ours: () => Promise<StepTiming>,
  trl: Peer | undefined,
  rounds: number,
): Promise<{ steps: readonly StepTiming[]; answers: readonly Answer[] }> {
  if (trl === undefined) return { steps: (await takeTurns([ours], rounds))[0]!, answers: [] };
  const contestants = [ours, (): Promise<Answer> => trl.ask()];
  const [steps, answers] = await takeTurns<StepTiming | Answer>(contestants, rounds);
  return { steps: steps as StepTiming[], answers: answers as Answer[] };
}

function stepFigures(
  steps: readonly StepTiming[],
  answers: readonly Answer[],
  peakBytes: number,
  note: string,
): Figure[] {
  const phase = (
    key: string,
    what: string,
    ours: (step: StepTiming) => number,
    theirs: (answer: Answer) => number,
  ): Figure => {
    const [a, b] = [steps.map((each) => ours(each) / 1000), answers.map(theirs)];
    const peak = answers.at(-1)?.peak_bytes;
    const other = { name: "TRL", value: median(b), peakBytes: peak };
    const compared = answers.length > 0 ? { other, ratio: pairedRatio(a, b) } : {};
    return { key, what, value: median(a), unit: "s", peakBytes, ...compared };
  };
  const generate = (answer: Answer): number => answer["generate_seconds"] as number;
  const whole = phase("step", "whole GRPO step, nano", (s) => s.ms, (a) => a.seconds);
  return [
    { ...whole, wanted: ratioAtLeast(20), note },
    phase("step.generate", "of it, sampling", (s) => s.generateMs, generate),
    phase("step.update", "of it, update", (s) => s.updateMs, (a) => a.seconds - generate(a)),
  ];
}
