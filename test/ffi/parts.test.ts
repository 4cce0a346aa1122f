// Attention in parts, as CUDA computes it, on a CPU device that is asked for it (index 1): the same
// logprobs, gradients and samples as the CPU's own kernels. What flash attention itself does is not
// tested here; it needs a GPU (test/gpu).

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { type CacheSamples, KvCache } from "../../ffi/cache.ts";
import { Device } from "../../ffi/device.ts";
import { setThreads } from "../../ffi/native.ts";
import type { Dtype, Policy, PolicyConfig, TrieBatch } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { type DecodedStep, decodeSteps } from "../helpers/decode-steps.ts";
import { ADAMW, maxAbs, openTiny, randomIds, relativeError, uniform } from "../helpers/engine.ts";
import { cacheBatch, Pages, type Part, type Run } from "../helpers/paging.ts";
import { flatten, forests } from "../helpers/tries.ts";

setDefaultTimeout(60_000); // a process of its own, on a busy machine

const KERNELS = 0;
const PARTS = 1;

/** The same on a device with the CPU's attention and on one with attention in parts. */
function both<T>(work: (policy: Policy) => T, dtype: Dtype, change: Partial<PolicyConfig>): [T, T] {
  setThreads(1);
  const [kernels, parts] = [KERNELS, PARTS].map((index) => {
    using device = Device.open("cpu", index);
    using policy = openTiny(device, dtype, change);
    return work(policy);
  });
  return [kernels!, parts!];
}

interface Outcome {
  readonly logprobs: Float64Array;
  readonly entropies: Float64Array;
  readonly gradients: ReadonlyMap<string, Float64Array>;
}

function train(policy: Policy, batch: TrieBatch, recompute: number): Outcome {
  using trainer = Trainer.open(policy, ADAMW);
  const { logprobs_N, entropies_N } = trainer.logprobs(batch, { temperature: 0.9, recompute });
  const random = uniform(7);
  const wave = (): Float64Array => logprobs_N.map(() => 2 * random() - 1);
  trainer.backward(wave(), wave());
  const gradients = new Map(
    policy.tensors().map(({ name }) => [name, trainer.readTensorF64("gradient", name)]),
  );
  return { logprobs: logprobs_N, entropies: entropies_N, gradients };
}

function trainingError([kernels, parts]: [Outcome, Outcome]): number {
  const scale = Math.max(...[...kernels.gradients.values()].map(maxAbs));
  const gradients = [...kernels.gradients].map(([name, expected]) => {
    const actual = parts.gradients.get(name)!;
    return maxAbs(actual.map((value, i) => value - expected[i]!)) / scale;
  });
  return Math.max(
    relativeError(parts.logprobs, kernels.logprobs),
    relativeError(parts.entropies, kernels.entropies),
    ...gradients,
  );
}

const SHAPES: readonly [string, Dtype, number, Partial<PolicyConfig>][] = [
  ["f64, grouped queries", "f64", 1e-10, {}],
  ["f64, one head a key", "f64", 1e-10, { tied: true, kvHeads: 4, qkvBias: false }],
  ["f32", "f32", 2e-5, {}],
];
for (const [name, dtype, bound, change] of SHAPES) {
  test(`training in parts equals the CPU's kernels on random tries (${name})`, () => {
    fc.assert(
      fc.property(forests(37, 9), fc.nat(2), (forest, recompute) => {
        const { batch, targetTokens_N } = flatten(forest);
        if (targetTokens_N.length === 0) return;
        const outcomes = both((policy) => train(policy, batch, recompute), dtype, change);
        expect(trainingError(outcomes)).toBeLessThan(bound);
      }),
      { seed: 3, numRuns: 25 },
    );
  });

  test(`sampling in parts equals the CPU's kernels over shared pages (${name})`, () => {
    const [kernels, parts] = both(samples, dtype, change);
    parts.forEach((step, i) => {
      expect(relativeError(step.logits_NV!, kernels[i]!.logits_NV!)).toBeLessThan(
        Math.max(bound, 1e-6), // logits leave as float32
      );
      expect(step.ids_N).toEqual(kernels[i]!.ids_N);
    });
  });
}

test.each(["f64", "f32"] as const)("steps padded to buckets decode what unpadded ones do (%s)", (dtype) => {
  const [kernels] = both(decodeSteps, dtype, {});
  const script = join(import.meta.dir, "../helpers/decode-steps.ts");
  const env = { ...process.env, ICRL_CUDA_GRAPHS: "1" };
  const run = Bun.spawnSync([process.execPath, script, dtype], { env });
  expect(run.stderr.toString()).toBe("");
  const padded = JSON.parse(run.stdout.toString()) as DecodedStep[];
  expect(padded.map(({ ids }) => ids)).toEqual(kernels.map(({ ids }) => [...ids]));
  const logprobs = (steps: readonly DecodedStep[]): number[] => steps.flatMap((step) => step.logprobs);
  expect(relativeError(logprobs(padded), logprobs(kernels))).toBeLessThan(1e-5);
});

/** A shared prefix, two questions, then steps in which some decode, some prefill, some wait. */
function samples(policy: Policy): CacheSamples[] {
  using cache = KvCache.open(policy, { numPages: 64, pageTokens: 16 });
  const pages = new Pages(16, 64);
  const root = pages.newRun(0);
  const questions = [50, 50].map((start) => pages.newRun(start));
  const rollouts = [0, 1, 2, 3, 4, 5].map((i) => pages.newRun(i % 2 === 0 ? 57 : 62));
  const under = (i: number): Run[] => [root, questions[i % 2]!, rollouts[i]!];
  const counts = [
    [1, 1, 1, 1, 1, 1],
    [1, 20, 1, 1, 7, 1],
    [1, 1, 0, 1, 1, 0],
    [40, 1, 1, 0, 1, 1],
  ];
  const steps: Part[][] = [
    [{ runs: [root], tokens: randomIds(50, 37, 1), sample: [49] }],
    questions.map((run, q) => ({
      runs: [root, run],
      tokens: randomIds(7 + 5 * q, 37, 2 + q),
      sample: [6],
    })),
    ...counts.map((step, s) =>
      [0, 2, 4, 1, 3, 5]
        .filter((i) => step[i]! > 0)
        .map((i) => {
          const tokens = randomIds(step[i]!, 37, 10 * s + i);
          return { runs: under(i), tokens, sample: [tokens.length - 1] };
        }),
    ),
  ];
  return steps.map((parts) => cache.forward(cacheBatch(pages, parts)));
}
