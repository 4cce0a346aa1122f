// The paged cache: decoding with it equals the full forward, whatever the page size and however
// prefill and decode are mixed and prefixes shared; and it is bound to one policy version.

import { expect, test } from "bun:test";
import { KvCache } from "../../ffi/cache.ts";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import type { Dtype, Policy } from "../../ffi/policy.ts";
import { logSoftmax, openCpu, openTiny, randomIds, rowsBatch } from "../helpers/engine.ts";
import { cacheBatch, Pages, type Part, type Run } from "../helpers/paging.ts";

const VOCAB = 37;

/** Where a part's tokens lie in its whole sequence. */
interface Planned extends Part {
  readonly sequence: readonly number[];
}

/**
 * Largest difference between the cache's logprobs of each next token and those of the full forward.
 */
function forwardError(
  policy: Policy,
  cache: KvCache,
  pages: Pages,
  parts: readonly Planned[],
): number {
  const starts = parts.map((part) => part.runs.at(-1)!.start + part.runs.at(-1)!.count);
  const { logits_NV } = cache.forward(cacheBatch(pages, parts));
  let row = 0;
  let worst = 0;
  parts.forEach((part, i) => {
    const { logprobs_N } = policy.logprobs(rowsBatch([part.sequence]));
    for (const offset of part.sample) {
      const at = starts[i]! + offset;
      const logprobs_V = logSoftmax(logits_NV!.subarray(row * VOCAB, ++row * VOCAB));
      worst = Math.max(worst, Math.abs(logprobs_V[part.sequence[at + 1]!]! - logprobs_N[at]!));
    }
  });
  return worst;
}

/** The next tokens of a sequence whose last run has `run.count` of its own already. */
function next(sequence: readonly number[], runs: readonly Run[], count: number): Planned {
  const run = runs.at(-1)!;
  const at = run.start + run.count;
  return {
    sequence,
    runs,
    tokens: sequence.slice(at, at + count),
    sample: Array.from({ length: count }, (_, i) => i),
  };
}

const BOUNDS: readonly [Dtype, number][] = [
  ["f64", 1e-6], // logits leave as float32
  ["f32", 1e-4],
];
for (const [dtype, bound] of BOUNDS) {
  for (const pageTokens of [16, 32, 80]) {
    test(`pages of ${pageTokens}: one sequence in pieces equals its forward (${dtype})`, () => {
      using device = openCpu();
      using policy = openTiny(device, dtype);
      const numPages = Math.ceil(100 / pageTokens);
      using cache = KvCache.open(policy, { numPages, pageTokens });
      const pages = new Pages(pageTokens, numPages);
      const sequence = randomIds(95, VOCAB, 4);
      const runs = [pages.newRun(0)];
      const errors = [45, 1, 1, 1, 16, 1, 25, 1, 1, 1].map((count) =>
        forwardError(policy, cache, pages, [next(sequence, runs, count)]),
      );
      expect(Math.max(...errors)).toBeLessThan(bound);
    });

    test(`pages of ${pageTokens}: shared prefixes, mixed prefill and decode (${dtype})`, () => {
      using device = openCpu();
      using policy = openTiny(device, dtype, { tied: true });
      using cache = KvCache.open(policy, { numPages: 400, pageTokens });
      expect(Math.max(...branchingErrors(policy, cache, new Pages(pageTokens, 400)))).toBeLessThan(
        bound,
      );
    });
  }
}

/**
 * Demonstrations, then two questions, then three samples each, some of them waiting while others go
 * on.
 */
function branchingErrors(policy: Policy, cache: KvCache, pages: Pages): number[] {
  const demonstrations = randomIds(21, VOCAB, 1);
  const root = pages.newRun(0);
  const errors = [forwardError(policy, cache, pages, [next([...demonstrations, 0], [root], 21)])];
  const questions = [7, 10].map((length, q) => ({
    tokens: [...demonstrations, ...randomIds(length, VOCAB, 2 + q)],
    run: pages.newRun(21),
  }));
  errors.push(
    forwardError(
      policy,
      cache,
      pages,
      questions.map(({ tokens, run }) => next([...tokens, 0], [root, run], tokens.length - 21)),
    ),
  );
  const samples = questions.flatMap(({ tokens, run }, q) =>
    [0, 1, 2].map((s) => ({
      sequence: [...tokens, ...randomIds(14, VOCAB, 10 * q + s)],
      runs: [root, run, pages.newRun(tokens.length)],
    })),
  );
  const steps = [
    [1, 1, 1, 1, 1, 1],
    [1, 0, 1, 6, 1, 1],
    [0, 1, 5, 1, 0, 1],
    [1, 3, 1, 1, 2, 1],
  ];
  for (const counts of steps) {
    const parts = samples
      .map(({ sequence, runs }, i) => next(sequence, runs, counts[i]!))
      .filter(({ tokens }) => tokens.length > 0);
    errors.push(forwardError(policy, cache, pages, parts));
  }
  return errors;
}

test("a cache refuses the weights of another version until it is reset", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
  const batch = () =>
    cacheBatch(new Pages(16, 4), [
      { runs: [new Pages(16, 4).newRun(0)], tokens: [1, 2], sample: [1] },
    ]);
  cache.forward(batch());
  const before = policy.version;
  policy.write("model.norm.weight", policy.read("model.norm.weight"), "f32");
  expect(policy.version).toBeGreaterThan(before);
  expect(() => cache.forward(batch())).toThrow(InvalidArgumentError);
  expect(() => cache.forward(batch())).toThrow(/version/);
  cache.reset();
  expect(cache.forward(batch()).ids_N).toHaveLength(1);
});

const BAD: readonly [
  string,
  (batch: ReturnType<typeof cacheBatch>) => Partial<ReturnType<typeof cacheBatch>>,
][] = [
  ["a token beyond the vocabulary", (batch) => ({ tokens_T: batch.tokens_T.with(0, VOCAB) })],
  ["a slot beyond the pages", (batch) => ({ slots_T: batch.slots_T.with(0, 64) })],
  ["a page beyond the cache", (batch) => ({ pages_P: batch.pages_P.with(0, 4) })],
  ["a segment beyond its pages", () => ({ segments_S5: Int32Array.of(0, 17, 0, 0, 5) })],
  [
    "a segment of tokens beyond the batch",
    (batch) => ({ segments_S5: batch.segments_S5.with(4, 6) }),
  ],
  ["a row beyond the batch", () => ({ rows_N: Int32Array.of(5) })],
  ["a negative temperature", () => ({ temperature: -1 })],
];
for (const [name, spoil] of BAD) {
  test(`${name} is refused`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32");
    using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
    const pages = new Pages(16, 4);
    const batch = cacheBatch(pages, [
      { runs: [pages.newRun(0)], tokens: [1, 2, 3, 4, 5], sample: [4] },
    ]);
    expect(() => cache.forward({ ...batch, ...spoil(batch) })).toThrow(InvalidArgumentError);
  });
}
