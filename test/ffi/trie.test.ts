// The batch format: a prefix trie equals the same tokens as separate rows, in logprobs, entropies
// and gradients, and neither the chunks of the LM head nor recomputation change anything. In
// double, so that rounding can't hide a mistake.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import type { Policy, PolicyConfig, TrieBatch } from "../../ffi/policy.ts";
import { type Recompute, Trainer } from "../../ffi/trainer.ts";
import {
  ADAMW,
  maxAbs,
  openCpu,
  openTiny,
  randomIds,
  relativeError,
  rowsBatch,
  uniform,
} from "../helpers/engine.ts";
import { flatten, forests, separate, spread, type TrieNode } from "../helpers/tries.ts";

interface Outcome {
  readonly logprobs_N: Float64Array;
  readonly entropies_N: Float64Array;
  readonly gradients: ReadonlyMap<string, Float64Array>;
}
interface Options {
  readonly headRows?: number;
  readonly recompute?: Recompute;
  readonly temperature?: number;
}

/** Logprobs, entropies and gradients for these coefficients of both. */
function run(
  policy: Policy,
  batch: TrieBatch,
  dLogprobs_N: Float64Array,
  dEntropies_N: Float64Array,
  options: Options = {},
): Outcome {
  using trainer = Trainer.open(policy, { ...ADAMW, headRows: options.headRows ?? 0 });
  const { temperature = 1, recompute = "nothing" } = options;
  const { logprobs_N, entropies_N } = trainer.logprobs(batch, { temperature, recompute });
  trainer.backward(dLogprobs_N, dEntropies_N);
  const gradients = new Map(
    policy.tensors().map(({ name }) => [name, trainer.readTensorF64("gradient", name)]),
  );
  return { logprobs_N, entropies_N, gradients };
}

function expectEqualGradients(actual: Outcome, expected: Outcome, bound: number): void {
  const scale = Math.max(...[...expected.gradients.values()].map(maxAbs));
  for (const [name, gradient] of expected.gradients) {
    const difference = maxAbs(actual.gradients.get(name)!.map((value, i) => value - gradient[i]!));
    expect(difference / scale, name).toBeLessThan(bound);
  }
}

function coefficients(count: number, seed: number): Float64Array {
  const random = uniform(seed);
  return Float64Array.from({ length: count }, () => 2 * random() - 1);
}

const SHAPES: readonly [string, Partial<PolicyConfig>][] = [
  ["grouped queries", {}],
  ["tied, one head a key", { tied: true, kvHeads: 4, qkvBias: false }],
];
for (const [name, change] of SHAPES) {
  test(`random tries equal separate rows in logprobs, entropies and gradients (${name})`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f64", change);
    fc.assert(
      fc.property(forests(37), fc.nat(1000), (forest, seed) => {
        const trie = flatten(forest);
        const rows = separate(forest);
        if (trie.targetTokens_N.length === 0) return;
        const [dLogprobs, dEntropies] = [0, 1].map((i) =>
          coefficients(trie.targetTokens_N.length, seed + i),
        );
        const actual = run(policy, trie.batch, dLogprobs!, dEntropies!);
        const expected = run(
          policy,
          rows.batch,
          spread(rows, trie, dLogprobs!),
          spread(rows, trie, dEntropies!),
        );
        rows.targetTokens_N.forEach((token, n) => {
          const twin = trie.targetTokens_N.indexOf(token);
          expect(Math.abs(actual.logprobs_N[twin]! - expected.logprobs_N[n]!)).toBeLessThan(1e-10);
          expect(Math.abs(actual.entropies_N[twin]! - expected.entropies_N[n]!)).toBeLessThan(
            1e-10,
          );
        });
        expectEqualGradients(actual, expected, 1e-10);
      }),
      { seed: 11, numRuns: 30 },
    );
  });
}

/** Long enough that no chunk or block is a whole one: 3 groups below a shared prefix. */
const FOREST: readonly TrieNode[] = [
  {
    tokens: randomIds(67, 37, 1),
    children: [2, 3, 4].map((group) => ({
      tokens: randomIds(19 + group, 37, group),
      children: [5, 6, 7, 8].map((sample) => ({
        tokens: randomIds(11 * (sample - 4), 37, 10 * group + sample),
        children: [],
      })),
    })),
  },
];

test("a large trie equals separate rows in f32 to 1e-5", () => {
  using device = openCpu(2);
  using policy = openTiny(device, "f32");
  const [trie, rows] = [flatten(FOREST), separate(FOREST)];
  const d = coefficients(trie.targetTokens_N.length, 5);
  const zero = new Float64Array(d.length);
  const actual = run(policy, trie.batch, d, zero);
  const expected = run(
    policy,
    rows.batch,
    spread(rows, trie, d),
    new Float64Array(rows.targetTokens_N.length),
  );
  expectEqualGradients(actual, expected, 1e-5);
});

const SAME: readonly [string, Options][] = [
  ["an LM head in chunks of 1 row", { headRows: 1 }],
  ["an LM head in chunks of 7 rows", { headRows: 7 }],
  ["an LM head in one chunk", { headRows: 100_000 }],
  ["recomputed layers", { recompute: "layers" }],
  ["a recomputed first layer", { recompute: 1 }],
  ["recomputed layers and a chunked head", { recompute: "layers", headRows: 13 }],
];
for (const [name, options] of SAME) {
  test(`${name} changes neither logprobs nor gradients`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f64");
    const { batch, targetTokens_N } = flatten(FOREST);
    const [d, e] = [coefficients(targetTokens_N.length, 1), coefficients(targetTokens_N.length, 2)];
    const plain = run(policy, batch, d, e, { temperature: 0.7 });
    const other = run(policy, batch, d, e, { ...options, temperature: 0.7 });
    expect(relativeError(other.logprobs_N, plain.logprobs_N)).toBeLessThan(1e-12);
    expect(relativeError(other.entropies_N, plain.entropies_N)).toBeLessThan(1e-12);
    expectEqualGradients(other, plain, 1e-12);
  });
}

test("several targets may share a row, repeat, and come in any order", () => {
  using device = openCpu();
  using policy = openTiny(device, "f64");
  const row = rowsBatch([randomIds(6, 37, 3)]);
  const all = {
    ...row,
    targetRows_N: new Int32Array(37).fill(5),
    targetIds_N: Int32Array.from({ length: 37 }, (_, id) => id),
  };
  const { logprobs_N, entropies_N } = policy.logprobs(all);
  expect(logprobs_N.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 12);
  const entropy = -logprobs_N.reduce((sum, value) => sum + Math.exp(value) * value, 0);
  expect(relativeError(entropies_N, new Float64Array(37).fill(entropy))).toBeLessThan(1e-12);

  const mixed = {
    ...row,
    targetRows_N: Int32Array.of(5, 2, 5, 0, 5),
    targetIds_N: Int32Array.of(8, 3, 8, 1, 30),
  };
  const picked = policy.logprobs(mixed).logprobs_N;
  expect(picked[0]).toBe(picked[2]!);
  expect(relativeError([picked[0]!, picked[4]!], [logprobs_N[8]!, logprobs_N[30]!])).toBeLessThan(
    1e-12,
  );
});

test("gradients are those of finite differences", () => {
  using device = openCpu();
  using policy = openTiny(device, "f64");
  const { batch, targetTokens_N } = flatten(FOREST);
  const [d, e] = [coefficients(targetTokens_N.length, 8), coefficients(targetTokens_N.length, 9)];
  const loss = (): number => {
    const { logprobs_N, entropies_N } = policy.logprobs(batch, 1.3);
    return logprobs_N.reduce((sum, value, n) => sum + value * d[n]! + entropies_N[n]! * e[n]!, 0);
  };
  const { gradients } = run(policy, batch, d, e, { temperature: 1.3 });
  for (const { name } of policy.tensors()) {
    const gradient = gradients.get(name)!;
    const weights = policy.readF64(name);
    const at = weights.length >> 1;
    const slope = [1e-5, -1e-5].map((step) => {
      policy.write(name, weights.with(at, weights[at]! + step), "f64");
      return loss();
    });
    policy.write(name, weights, "f64");
    const difference = (slope[0]! - slope[1]!) / 2e-5;
    expect(Math.abs(difference - gradient[at]!) / maxAbs(gradient), name).toBeLessThan(1e-6);
  }
});

const BAD: readonly [string, (batch: TrieBatch) => TrieBatch][] = [
  [
    "a token beyond the vocabulary",
    (batch) => ({ ...batch, tokens_T: batch.tokens_T.with(2, 37) }),
  ],
  ["a negative token", (batch) => ({ ...batch, tokens_T: batch.tokens_T.with(2, -1) })],
  [
    "a target beyond the vocabulary",
    (batch) => ({ ...batch, targetIds_N: batch.targetIds_N.with(0, 37) }),
  ],
  [
    "a target row beyond the batch",
    (batch) => ({ ...batch, targetRows_N: batch.targetRows_N.with(0, 6) }),
  ],
  ["a segment beyond the batch", (batch) => ({ ...batch, segments_S3: Int32Array.of(0, 7, 7) })],
  [
    "a segment that ends before it starts",
    (batch) => ({ ...batch, segments_S3: Int32Array.of(4, 2, 6) }),
  ],
  [
    "a subtree that ends after its parent's",
    (batch) => ({ ...batch, segments_S3: Int32Array.of(0, 2, 4, 2, 6, 6) }),
  ],
  ["tokens in no segment", (batch) => ({ ...batch, segments_S3: Int32Array.of(0, 4, 4) })],
  ["a negative position", (batch) => ({ ...batch, positions_T: batch.positions_T.with(0, -1) })],
];
for (const [name, spoil] of BAD) {
  test(`${name} is refused before anything is computed`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32");
    const batch = spoil(rowsBatch([randomIds(6, 37, 3)]));
    expect(() => policy.logprobs(batch)).toThrow(InvalidArgumentError);
  });
}
