// Sampling: what is drawn follows the softmax, depends on its own stream and nothing else, and
// comes with its logprob.

import { expect, test } from "bun:test";
import { KvCache } from "../../ffi/cache.ts";
import { logSoftmax, openCpu, openTiny, randomIds } from "../helpers/engine.ts";
import { cacheBatch, Pages } from "../helpers/paging.ts";

const VOCAB = 37;
const PROMPT = randomIds(9, VOCAB, 6);

interface Drawn {
  readonly ids_N: Int32Array;
  readonly logprobs_N: Float32Array;
  readonly entropies_N: Float32Array;
  readonly logits_V: Float32Array;
}

/** Draws for each stream after the same prompt. */
function draw(
  streams: readonly (readonly [number, number, number])[],
  seed: number,
  temperature: number,
): Drawn {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
  const pages = new Pages(16, 4);
  const batch = cacheBatch(
    pages,
    [{ runs: [pages.newRun(0)], tokens: PROMPT, sample: [8] }],
    seed,
    temperature,
  );
  const rows_N = new Int32Array(streams.length).fill(8);
  const { ids_N, logprobs_N, entropies_N, logits_NV } = cache.forward({
    ...batch,
    rows_N,
    streams_N3: Int32Array.from(streams.flat()),
  });
  return { ids_N, logprobs_N, entropies_N, logits_V: logits_NV!.slice(0, VOCAB) };
}

function manyStreams(count: number): [number, number, number][] {
  return Array.from({ length: count }, (_, i) => [i % 50, Math.floor(i / 50), 9]);
}

for (const temperature of [1, 0.5, 2]) {
  test(`at temperature ${temperature} the frequencies are those of the softmax`, () => {
    const count = 20_000;
    const { ids_N, logits_V } = draw(manyStreams(count), 5, temperature);
    const seen = new Float64Array(VOCAB);
    for (const id of ids_N) seen[id]!++;
    const expected = logSoftmax(logits_V, temperature).map((logprob) => count * Math.exp(logprob));
    const large = [...expected.keys()].filter((id) => expected[id]! >= 5);
    const chi2 = large.reduce(
      (sum, id) => sum + (seen[id]! - expected[id]!) ** 2 / expected[id]!,
      0,
    );
    // Chi-square of k cells has mean k and standard deviation sqrt(2 k): four of them above is one
    // seed in 30,000.
    expect(large.length).toBeGreaterThan(5);
    expect(chi2).toBeLessThan(large.length + 4 * Math.sqrt(2 * large.length));
  });

  test(`at temperature ${temperature} logprobs and entropies are those of the draw`, () => {
    const { ids_N, logprobs_N, entropies_N, logits_V } = draw(manyStreams(200), 6, temperature);
    const logprobs_V = logSoftmax(logits_V, temperature);
    const entropy = -logprobs_V.reduce((sum, logprob) => sum + Math.exp(logprob) * logprob, 0);
    ids_N.forEach((id, n) => {
      expect(Math.abs(logprobs_N[n]! - logprobs_V[id]!)).toBeLessThan(1e-5);
      expect(Math.abs(entropies_N[n]! - entropy)).toBeLessThan(1e-5);
    });
  });
}

test("temperature 0 takes the most probable token, with its logprob at temperature 1", () => {
  const { ids_N, logprobs_N, logits_V } = draw(manyStreams(3), 6, 0);
  const best = logits_V.indexOf(Math.max(...logits_V));
  expect([...ids_N]).toEqual([best, best, best]);
  expect(Math.abs(logprobs_N[0]! - logSoftmax(logits_V)[best]!)).toBeLessThan(1e-5);
});

test("a stream draws the same in any batch; each of its parts and the seed matters", () => {
  const streams = manyStreams(400);
  const together = draw(streams, 3, 1).ids_N;
  expect([...draw(streams.toReversed(), 3, 1).ids_N].reverse()).toEqual([...together]);
  expect(draw([streams[77]!], 3, 1).ids_N[0]).toBe(together[77]!);
  const changes: readonly [number, [number, number, number]][] = [
    [4, [0, 0, 0]],
    [3, [1000, 0, 0]],
    [3, [0, 1000, 0]],
    [3, [0, 0, 1]],
  ];
  for (const [seed, [group, sample, position]] of changes) {
    const moved = streams.map(([g, s, p]): [number, number, number] => [
      g + group,
      s + sample,
      p + position,
    ]);
    const same = draw(moved, seed, 1).ids_N.filter((id, n) => id === together[n]).length;
    expect(same).toBeLessThan(200);
  }
});

test("decoding beside other sequences samples the same tokens as decoding alone", () => {
  const alone = [0, 1, 2].map((i) => decode([i])[0]!);
  expect(decode([0, 1, 2])).toEqual(alone);
  expect(decode([2, 0, 1])).toEqual([alone[2]!, alone[0]!, alone[1]!]);
});

/** Twelve tokens after each of the chosen prompts; the stream is the prompt's. */
function decode(chosen: readonly number[]): number[][] {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using cache = KvCache.open(policy, { numPages: 30, pageTokens: 16 });
  const pages = new Pages(16, 30);
  const sequences = chosen.map((i) => ({
    i,
    run: pages.newRun(0),
    pending: randomIds(5 + i, VOCAB, i),
    ids: [] as number[],
  }));
  for (let step = 0; step < 12; step++) {
    const parts = sequences.map(({ i, run, pending }) => ({
      runs: [run],
      tokens: pending,
      sample: [pending.length - 1],
      stream: [7, i] as const,
    }));
    const { ids_N } = cache.forward(cacheBatch(pages, parts, 9));
    sequences.forEach((sequence, n) => {
      sequence.pending = [ids_N[n]!];
      sequence.ids.push(ids_N[n]!);
    });
  }
  return sequences.map(({ ids }) => ids);
}
