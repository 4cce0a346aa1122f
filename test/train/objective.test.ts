// Shape letters: N tokens, R rollouts.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addSums,
  emptySums,
  evaluateObjective,
  summariseSums,
  type ObjectiveInput,
  type ObjectiveOptions,
} from "../../src/train/objective.ts";
import { tokenWeights, type Reduction } from "../../src/train/reduction.ts";
import golden from "../golden/objective.json";

const options: ObjectiveOptions = {
  clipLow: 0.2,
  clipHigh: 0.28,
  kl: { kind: "k3", coefficient: 0 },
  entropy: 0,
};

/** One token of ratio `ratio` in a rollout of advantage `advantage`, with weight 1. */
function single(ratio: number, advantage: number, more: Partial<ObjectiveOptions> = {}) {
  return evaluateObjective(
    {
      policyLogprobs_N: [Math.log(ratio) - 1],
      samplerLogprobs_N: [-1],
      sources_N: [0],
      advantages_R: [advantage],
      weights_R: [1],
    },
    { ...options, ...more },
  );
}

describe("the clipped surrogate", () => {
  // loss = -min(ratio A, clip(ratio, .8, 1.28) A); its slope by the logprob is -ratio A, or 0 where
  // clipped
  const cases: readonly (readonly [string, number, number, number, number])[] = [
    ["on policy, the loss is -A and so is the slope", 1, 2, -2, -2],
    ["on policy with A < 0", 1, -2, 2, 2],
    ["inside the bounds the ratio counts", 1.25, 2, -2.5, -2.5],
    ["a good token is clipped above", 1.5, 2, -2.56, 0],
    ["a good token is not clipped below", 0.5, 2, -1, -1],
    ["a bad token is clipped below", 0.5, -2, 1.6, 0],
    ["a bad token is not clipped above", 1.5, -2, 3, 3],
    ["without advantage there is nothing", 1.5, 0, 0, 0],
  ];
  test.each(cases)("%s", (_, ratio, advantage, loss, slope) => {
    const result = single(ratio, advantage);
    expect(result.loss).toBeCloseTo(loss, 12);
    expect(result.dLogprobs_N[0]).toBeCloseTo(slope, 12);
    const isClipped = slope === 0 && advantage !== 0;
    expect(result.sums.numClippedLow + result.sums.numClippedHigh).toBe(isClipped ? 1 : 0);
  });

  test("a dual clip bounds what a bad token can cost", () => {
    const dual = { clipDual: 3 };
    expect(single(5, -2, dual).loss).toBeCloseTo(6, 12); // 3 * 2 rather than 5 * 2
    expect(single(5, -2, dual).dLogprobs_N[0]).toBe(0);
    expect(single(2, -2, dual).dLogprobs_N[0]).toBeCloseTo(4, 12);
  });

  test("is not clipped on a bound", () => {
    expect(single(1, 1, { clipHigh: 0 }).dLogprobs_N[0]).toBe(-1);
    expect(single(1, -1, { clipLow: 0 }).dLogprobs_N[0]).toBe(1);
  });
});

const input: ObjectiveInput = {
  policyLogprobs_N: golden.policy,
  samplerLogprobs_N: golden.sampler,
  referenceLogprobs_N: golden.reference,
  entropies_N: golden.entropies,
  sources_N: golden.sources,
  advantages_R: golden.advantages[0]!.values.flat(),
  weights_R: [],
};
const numTokens_R = golden.groups.map(
  (_, rollout) => golden.sources.filter((source) => source === rollout).length,
);

function weightsOf(kind: string): Float64Array {
  const reduction = { kind, maxTokens: golden.maxTokens } as Reduction;
  return tokenWeights(reduction, numTokens_R, golden.groups);
}

function evaluateGolden(golden: { options: object; reduction: string }) {
  const weights_R = weightsOf(golden.reduction);
  return evaluateObjective({ ...input, weights_R }, golden.options as ObjectiveOptions);
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number) {
  expect(actual).toHaveLength(expected.length);
  const errors = expected.map((value, n) => Math.abs(actual[n]! - value));
  expect(Math.max(...errors)).toBeLessThan(tolerance);
}

describe("loss and gradients equal torch autograd", () => {
  test.each(golden.cases)("$name", (golden) => {
    const { loss, dLogprobs_N, dEntropies_N } = evaluateGolden(golden);
    expectClose([loss], [golden.loss], 1e-12);
    expectClose(dLogprobs_N, golden.dLogprobs, 1e-12);
    const none = golden.dEntropies.map(() => 0);
    expectClose(dEntropies_N ?? none, golden.dEntropies, 1e-12);
  });
});

describe("loss, gradient and metrics equal TRL's", () => {
  test.each(golden.trl)("$name", (golden) => {
    const { loss, dLogprobs_N, sums } = evaluateGolden(golden);
    expectClose([loss], [golden.loss], 1e-12);
    expectClose(dLogprobs_N, golden.dLogprobs, 1e-12);
    const metrics = summariseSums(sums);
    expect(metrics.clipShareLow).toBeCloseTo(golden.clipShareLow, 6);
    // TRL does not count what its delta clips
    if (!("clipDual" in golden.options)) {
      expect(metrics.clipShareHigh).toBeCloseTo(golden.clipShareHigh, 6);
    }
    expect(metrics.entropy).toBeCloseTo(golden.entropy, 12);
    if (golden.kl !== null) expect(metrics.kl).toBeCloseTo(golden.kl, 12);
  });
});

test("the golden tokens are clipped on both sides and some are exactly on policy", () => {
  const { sums } = evaluateGolden(golden.cases[0]!);
  expect(sums.numClippedLow).toBeGreaterThan(0);
  expect(sums.numClippedHigh).toBeGreaterThan(0);
  expect(golden.policy.filter((logprob, n) => logprob === golden.sampler[n])).not.toEqual([]);
});

describe("micro-batches", () => {
  const whole = golden.cases[0]!;
  const part = (rollouts: readonly number[]) => {
    const tokens = golden.sources.flatMap((source, n) => (rollouts.includes(source) ? [n] : []));
    const pick = (values: readonly number[]) => tokens.map((n) => values[n]!);
    return evaluateObjective(
      {
        policyLogprobs_N: pick(golden.policy),
        samplerLogprobs_N: pick(golden.sampler),
        referenceLogprobs_N: pick(golden.reference),
        entropies_N: pick(golden.entropies),
        sources_N: pick(golden.sources),
        advantages_R: input.advantages_R,
        weights_R: weightsOf(whole.reduction),
      },
      whole.options as ObjectiveOptions,
    );
  };

  test("add up to the whole, in loss and in every metric", () => {
    const parts = [[0, 4], [1], [2, 3, 5]].map(part);
    const sums = parts.map((result) => result.sums).reduce(addSums, emptySums);
    const expected = evaluateGolden(whole).sums;
    for (const [name, value] of Object.entries(expected)) {
      expect(sums[name as keyof typeof sums]).toBeCloseTo(value, 12);
    }
    expect(sums.loss).toBeCloseTo(whole.loss, 12);
  });
});

test("the derivative is that of the loss, for any options", () => {
  const inRange = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  const anyOptions = fc.record({
    clipLow: inRange(0.05, 0.5),
    clipHigh: inRange(0.05, 0.5),
    clipDual: fc.constantFrom(undefined, 1.4),
    kl: fc.record({
      kind: fc.constantFrom("k1" as const, "k2" as const, "k3" as const),
      coefficient: inRange(0, 1),
    }),
    entropy: inRange(0, 1),
  });
  const anyToken = fc.record({
    logRatio: inRange(-0.8, 0.8),
    toReference: inRange(-2, 2),
    advantage: inRange(-3, 3),
  });
  fc.assert(
    fc.property(anyToken, anyOptions, ({ logRatio, toReference, advantage }, chosen) => {
      const at = (logprob: number) =>
        evaluateObjective(
          {
            policyLogprobs_N: [logprob],
            samplerLogprobs_N: [-2],
            referenceLogprobs_N: [-2 - toReference],
            entropies_N: [0.5],
            sources_N: [0],
            advantages_R: [advantage],
            weights_R: [0.25],
          },
          chosen,
        );
      const [below, here, above] = [-1e-6, 0, 1e-6].map((step) => at(logRatio - 2 + step));
      // a bound between the two probes has no derivative
      fc.pre(below!.sums.numClippedLow === above!.sums.numClippedLow);
      fc.pre(below!.sums.numClippedHigh === above!.sums.numClippedHigh);
      const slope = (above!.loss - below!.loss) / 2e-6;
      expect(Math.abs(slope - here!.dLogprobs_N[0]!)).toBeLessThan(1e-7);
    }),
    { seed: 1, numRuns: 300 },
  );
});

describe("broken invariants throw", () => {
  const base = { ...input, weights_R: weightsOf("token_mean") };
  test("a KL coefficient without reference logprobs", () => {
    const chosen = { ...options, kl: { kind: "k3", coefficient: 0.1 } } as const;
    const without = { ...base, referenceLogprobs_N: undefined };
    expect(() => evaluateObjective(without, chosen)).toThrow("needs reference logprobs");
  });
  test("an entropy bonus without entropies", () => {
    const without = { ...base, entropies_N: undefined };
    expect(() => evaluateObjective(without, { ...options, entropy: 0.1 })).toThrow(
      "needs entropies",
    );
  });
  test("a logprob that is not finite", () => {
    const policyLogprobs_N = golden.policy.with(5, NaN);
    expect(() => evaluateObjective({ ...base, policyLogprobs_N }, options)).toThrow(
      "not finite: 5",
    );
  });
});
