// How fast are all sequences of a step decoded at nano's shape, against transformers' generate, and
// what share is that of what the machine's arithmetic or memory allows?

import type { DeviceLimits } from "../../ffi/device.ts";
import type { PolicyConfig } from "../../ffi/policy.ts";
import { type Bench, peakBandwidth, peakFlops, policyArguments } from "../bench.ts";
import { type Figure, ratioAtLeast } from "../figure.ts";
import { decodeWork } from "../flops.ts";
import type { Answer } from "../opponents.ts";
import { numRollouts, shapeText, type StepShape } from "../shapes.ts";
import { type StepTiming, timeGenerate } from "../step.ts";
import { median, pairedRatio, peakResidentBytes, takeTurns } from "../timing.ts";
import { randomPrompts, Worker } from "../work.ts";

type Generated = Pick<StepTiming, "generateMs" | "prefillMs">;

export async function decode(bench: Bench): Promise<readonly Figure[]> {
  const shape = bench.work.step;
  using worker = Worker.open(bench.device, "nano", [shape], { trains: false });
  const { config } = worker.policy;
  const prompts = randomPrompts(shape, config.vocab);
  let seed = 0;
  const ours = (): Promise<Generated> => {
    worker.policy.write("model.norm.weight", worker.policy.read("model.norm.weight"), "f32");
    return timeGenerate(worker, prompts, shape, seed++); // a new version: prompts are new as well
  };
  await ours();
  const peakBytes = peakResidentBytes();
  const work = { policy: policyArguments(config), shape };
  using hf = await bench.opponents.script("generate", ["torch", "transformers"], work);
  const contestants = [ours, ...(hf === undefined ? [] : [(): Promise<Answer> => hf.ask()])];
  const [a, b = []] = await takeTurns<Generated | Answer>(contestants, bench.repeats);
  const [steps, answers] = [a as Generated[], b as Answer[]];
  const limits = bench.limits();
  return [
    ...speedFigures(steps, answers, shape, peakBytes),
    ...limitFigures(steps, config, shape, limits),
  ];
}

function speedFigures(
  steps: readonly Generated[],
  answers: readonly Answer[],
  shape: StepShape,
  peakBytes: number,
): Figure[] {
  const tokens = numRollouts(shape) * shape.sampled;
  const figure = (key: string, what: string, a: readonly number[], b: readonly number[]): Figure => {
    const peak = answers.at(-1)?.peak_bytes;
    const other = { name: "transformers", value: tokens / median(b), peakBytes: peak };
    const compared = b.length > 0 ? { other, ratio: pairedRatio(a, b) } : {};
    return { key, what, value: tokens / median(a), unit: "tok/s", peakBytes, ...compared };
  };
  const whole = figure(
    "decode",
    `${numRollouts(shape)} sequences sampled, nano, prompts included`,
    steps.map(({ generateMs }) => generateMs / 1000),
    answers.map((each) => each["generate_seconds"] as number),
  );
  const alone = figure(
    "decode.alone",
    "of it, decoding alone",
    steps.map(decodeSeconds),
    answers.map((each) => decodeAlone(each, shape)),
  );
  return [{ ...whole, wanted: ratioAtLeast(8), note: shapeText(shape) }, alone];
}

/** Of transformers' generate, whose first token comes with the prompt. */
export function decodeAlone(answer: Answer, { sampled }: StepShape): number {
  const whole = answer["generate_seconds"] as number;
  return ((whole - (answer["prefill_seconds"] as number)) * sampled) / (sampled - 1);
}

const decodeSeconds = ({ generateMs, prefillMs }: Generated): number =>
  (generateMs - prefillMs) / 1000;

/** The time that arithmetic alone, and reading alone, would take, as shares of the real one. */
export function limitFigures(
  steps: readonly Generated[],
  config: PolicyConfig,
  shape: StepShape,
  limits: DeviceLimits,
  key = "decode",
): Figure[] {
  const { flops, bytes } = decodeWork(config, shape);
  const seconds = median(steps.map(decodeSeconds));
  const byFlops = flops / peakFlops(limits) / seconds;
  const byBytes = bytes / peakBandwidth(limits) / seconds;
  const perStep = (amount: number, unit: string): string =>
    `${(amount / shape.sampled).toPrecision(3)} ${unit} a forward`;
  return [
    {
      key: `${key}.flop-share`,
      what: "of it, share of the FLOP limit",
      value: byFlops,
      unit: "%",
      note: perStep(flops / 1e9, "GFLOP"),
    },
    {
      key: `${key}.memory-share`,
      what: "of it, share of the memory-bandwidth limit",
      value: byBytes,
      unit: "%",
      note: `${perStep(bytes / 1e6, "MB")}, each byte read once`,
    },
  ];
}
