// How fast do many rows decode that share a long prefix, what share is that of the device's floor,
// and what does transformers' continuous batching make of the same rows?

import type { PolicyConfig } from "../../../ffi/policy.ts";
import type { InProcessEngine } from "../../../src/rollout/in-process.ts";
import { type Bench, peakBandwidth, peakFlops, policyArguments } from "../../bench.ts";
import { type Figure, ratioAtLeast, valueAtLeast } from "../../figure.ts";
import type { Answer } from "../../opponents.ts";
import { numRollouts, type StepShape } from "../../shapes.ts";
import { median, pairedRatio } from "../../timing.ts";
import { type Prompt, randomPrompts } from "../../work.ts";
import { decodeFloor, type Rates } from "../floors.ts";
import { Opened } from "../policy.ts";
import type { GpuWork } from "../work.ts";

const BF16_BYTES = 2;

interface Decoded {
  readonly seconds: number; // of the forwards in which all rows decode, and what is between them
  readonly forwards: number;
  readonly overheadSeconds: number; // of it, the host's work between forwards
  readonly prefillSeconds: number;
}

export async function decode(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy: name, decode: shape } = bench.work;
  const tokens = shape.shared + shape.prompts * (shape.own + shape.sampled);
  const rows = numRollouts(shape);
  const rounds: Decoded[] = [];
  let config: PolicyConfig;
  {
    using opened = Opened.open(bench.device, name, { cacheTokens: tokens, sequences: rows });
    config = opened.policy.config;
    const prompts = randomPrompts(shape, config.vocab);
    for (let seed = 0; seed <= bench.repeats; seed++) {
      rounds.push(await decodeAll(opened.engine, prompts, shape.sampled, seed));
      touch(opened); // a new version, so that prompts are computed again
    }
  }
  rounds.shift(); // the warm-up
  const limits = bench.limits();
  const rates = { flops: peakFlops(limits), bytes: peakBandwidth(limits) };
  const answers = await theirs(bench, config);
  return [
    speedFigure(rounds, shape, answers),
    floorFigure(rounds, config, shape, rates),
    ...restFigures(rounds, shape),
  ];
}

function touch({ policy }: Opened): void {
  policy.write("model.norm.weight", policy.read("model.norm.weight"), "f32");
}

/** One token of each row first, so that afterwards all of them decode together. */
async function decodeAll(
  engine: InProcessEngine,
  prompts: readonly Prompt[],
  sampled: number,
  seed: number,
): Promise<Decoded> {
  using stack = new DisposableStack();
  const rows = prompts.map(({ shared, own }) => stack.use(engine.open([shared, own], sampled)));
  const turn = async (maxTokens: number): Promise<number> => {
    const start = performance.now();
    const sampling = { maxTokens, temperature: 1, seed, sample: 0, shouldStop: () => false };
    await Promise.all(rows.map((row, group) => row.generate({ ...sampling, group })));
    return (performance.now() - start) / 1000;
  };
  const prefillSeconds = await turn(1);
  const before = engine.counters();
  const seconds = await turn(sampled - 1);
  const after = engine.counters();
  return {
    seconds,
    forwards: after.steps - before.steps,
    overheadSeconds: (after.overheadMs - before.overheadMs) / 1000,
    prefillSeconds,
  };
}

/** The same prompts for transformers; each is computed for itself there. */
async function theirs(bench: Bench<GpuWork>, config: PolicyConfig): Promise<readonly Answer[]> {
  const { decode: shape } = bench.work;
  const work = { policy: policyArguments(config), shape, device: bench.device };
  const packages = ["torch", "transformers"];
  using peer = await bench.opponents.script("continuous", packages, work);
  return peer === undefined ? [] : [await peer.ask()];
}

function speedFigure(
  rounds: readonly Decoded[],
  shape: StepShape,
  answers: readonly Answer[],
): Figure {
  const tokens = numRollouts(shape) * (shape.sampled - 1);
  const seconds = rounds.map((each) => each.seconds);
  const others = answers.map((each) => each["decode_seconds"] as number);
  const [answer] = answers;
  const other = {
    name: String(answer?.["name"] ?? "transformers"),
    value: tokens / median(others),
    peakBytes: answer?.peak_bytes,
  };
  return {
    key: "gpu.decode",
    what: `decode, ${numRollouts(shape)} rows together`,
    value: tokens / median(seconds),
    unit: "tok/s",
    ...(answer === undefined ? {} : { other, ratio: pairedRatio([median(seconds)], others) }),
    wanted: ratioAtLeast(8),
    note: `${shape.shared} tokens shared, ${shape.own} to ${shape.own + shape.sampled} of each row's own`,
  };
}

function floorFigure(
  rounds: readonly Decoded[],
  config: PolicyConfig,
  shape: StepShape,
  rates: Rates,
): Figure {
  const floor = decodeFloor(config, shape, BF16_BYTES, rates);
  const perForward = median(rounds.map(({ seconds, forwards }) => seconds / forwards));
  const [ms, least] = [perForward, floor.seconds].map((each) => (each * 1000).toPrecision(3));
  const rate = `${(rates.flops / 1e12).toPrecision(3)} TFLOP/s and ${(rates.bytes / 1e12).toPrecision(3)} TB/s`;
  return {
    key: "gpu.decode.floor",
    what: "of it, share of the floor",
    value: floor.seconds / perForward,
    unit: "%",
    wanted: valueAtLeast(0.6),
    note:
      `a forward takes ${ms} ms, at least ${least}: ${(floor.bytes / 1e9).toPrecision(3)} GB, ` +
      `${(floor.flops / 1e12).toPrecision(3)} TFLOP at ${rate}`,
  };
}

function restFigures(rounds: readonly Decoded[], shape: StepShape): Figure[] {
  const prompt = shape.shared + shape.prompts * shape.own;
  const of = (pick: (each: Decoded) => number): number => median(rounds.map(pick));
  return [
    {
      key: "gpu.decode.host",
      what: "of it, the host's work between forwards",
      value: of(({ overheadSeconds, seconds }) => overheadSeconds / seconds),
      unit: "%",
    },
    {
      key: "gpu.prefill",
      what: "prefill of the same prompts, shared tokens once",
      value: prompt / of(({ prefillSeconds }) => prefillSeconds),
      unit: "tok/s",
    },
  ];
}
