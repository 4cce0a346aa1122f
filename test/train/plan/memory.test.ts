// The planned bytes against what the engine's own allocator counted: random shapes and tries, and
// the shapes of nano and of Qwen2.5-0.5B (narrow, so that the test is short; every proportion that
// decides which buffer is the largest is kept).

import { expect, test } from "bun:test";
import fc from "fast-check";
import { KvCache } from "../../../ffi/cache.ts";
import { LORA_TARGETS, type LoraConfig } from "../../../ffi/lora.ts";
import { counters, resetPeak } from "../../../ffi/native.ts";
import { type Dtype, Policy, type PolicyConfig, type TrieBatch } from "../../../ffi/policy.ts";
import { type KeptState, Trainer } from "../../../ffi/trainer.ts";
import { batchBytes, headChunkBytes, headRowBytes } from "../../../src/train/plan/batch-memory.ts";
import { residentBytes, sumBytes } from "../../../src/train/plan/resident-memory.ts";
import { engineShape } from "../../../src/train/plan/planner.ts";
import { shapeOf } from "../../../bench/shapes.ts";
import { ADAMW, openCpu, rowsBatch, tinyConfig, uniform } from "../../helpers/engine.ts";
import { flatten, forests } from "../../helpers/tries.ts";

/** What was planned over what was counted, of each thing that is planned. */
function ratios(
  config: PolicyConfig,
  dtype: Dtype,
  batch: TrieBatch,
  recomputed: number,
  lora?: LoraConfig,
) {
  using device = openCpu();
  const before = counters().cpuBytes;
  using policy = Policy.open(device, config, dtype);
  policy.randomize(1, 0.02);
  using base = lora === undefined ? undefined : Policy.open(device, config, dtype);
  base?.randomize(1, 0.02);
  using trainer = Trainer.open(policy, lora === undefined ? ADAMW : { ...ADAMW, lora }, base);
  using _cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
  const [tokens, targets] = [batch.tokens_T.length, batch.targetRows_N.length];
  const shape = engineShape(policy, lora);
  const train = (): void => {
    trainer.logprobs(batch, { temperature: 1, recompute: recomputed });
    trainer.backward(new Float64Array(targets).fill(0.1));
  };
  policy.logprobs(batch); // from now on nothing more stays
  const resident = counters().cpuBytes - before;
  const maxPosition = batch.positions_T.reduce((most, position) => Math.max(most, position), 0);
  const options = { cacheTokens: 64, hasReference: false, maxPosition };
  return {
    resident: sumBytes(residentBytes(shape, options)) / resident,
    batch: batchBytes(shape, { tokens, targets, recomputed }) / peakOf(train),
  };
}

function peakOf(work: () => void): number {
  resetPeak();
  work();
  const { cpuBytes, cpuPeakBytes } = counters();
  return cpuPeakBytes - cpuBytes;
}

function expectWithin(actual: ReturnType<typeof ratios>, share: number): void {
  for (const [what, ratio] of Object.entries(actual)) {
    expect(Math.abs(ratio - 1), `${what}: ${ratio.toFixed(4)}`).toBeLessThan(share);
  }
}

const configs = fc
  .record({
    hidden: fc.integer({ min: 4, max: 70 }),
    layers: fc.integer({ min: 1, max: 4 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 4 }),
    headDim: fc.integer({ min: 1, max: 12 }).map((half) => 2 * half),
    ffn: fc.integer({ min: 4, max: 150 }),
    vocab: fc.integer({ min: 40, max: 900 }),
    qkvBias: fc.boolean(),
    qkNorm: fc.boolean(),
    tied: fc.boolean(),
  })
  .map(({ group, ...rest }) => tinyConfig({ ...rest, heads: group * rest.kvHeads }));

test("random policies, tries and recomputed layers are planned within a tenth", () => {
  const dtypes = fc.constantFrom("f32", "f64");
  const tries = forests(40, 20, 4)
    .map((forest) => flatten(forest).batch)
    .filter(({ targetRows_N }) => targetRows_N.length > 0);
  fc.assert(
    fc.property(configs, tries, dtypes, fc.nat(4), (config, batch, dtype, layers) =>
      expectWithin(ratios(config, dtype, batch, Math.min(layers, config.layers)), 0.1),
    ),
    { seed: 5, numRuns: 25 },
  );
});

test("adapters of random ranks and targets are planned within a tenth", () => {
  const tries = forests(40, 20, 4)
    .map((forest) => flatten(forest).batch)
    .filter(({ targetRows_N }) => targetRows_N.length > 0);
  const loras = fc.record({
    rank: fc.integer({ min: 1, max: 24 }),
    alpha: fc.constant(8),
    targets: fc.subarray([...LORA_TARGETS], { minLength: 1 }),
  });
  fc.assert(
    fc.property(configs, tries, loras, fc.nat(4), (config, batch, lora, layers) =>
      expectWithin(ratios(config, "f32", batch, Math.min(layers, config.layers), lora), 0.1),
    ),
    { seed: 6, numRuns: 25 },
  );
});

/** `shared` tokens of all, then `own` of each of the samples of each prompt. */
function star(samples: number, shared: number, own: number, vocab: number): TrieBatch {
  const random = uniform(samples);
  const tokens = (length: number) => Array.from({ length }, () => Math.floor(random() * vocab));
  const children = Array.from({ length: samples }, () => ({ tokens: tokens(own), children: [] }));
  return flatten([{ tokens: tokens(shared), children }]).batch;
}

const nano = shapeOf("nano");
/** Qwen2.5-7B. */
const SEVEN = {
  config: {
    ...shapeOf("qwen2.5-0.5b"),
    hidden: 3584,
    layers: 28,
    heads: 28,
    kvHeads: 4,
    headDim: 128,
    ffn: 18944,
    vocab: 152064,
    tied: false,
  },
};
const narrow = { layers: 1, hidden: 224, heads: 7, kvHeads: 1, ffn: 1216, vocab: 20000 };
const half: PolicyConfig = { ...shapeOf("qwen2.5-0.5b"), ...narrow };
const CASES: readonly [string, PolicyConfig, TrieBatch][] = [
  ["nano, nothing shared", nano, rowsBatch([[...Array(120).keys()], [...Array(90).keys()]])],
  ["nano, long sharing", nano, star(4, 300, 12, nano.vocab)],
  ["nano, long observations", nano, star(3, 40, 150, nano.vocab)],
  ["nano, three rows", nano, rowsBatch([[1, 2, 3]])],
  ["Qwen2.5-0.5B's proportions, few rows", half, star(3, 40, 20, half.vocab)],
  ["Qwen2.5-0.5B's proportions, more rows", half, star(3, 140, 40, half.vocab)],
];
for (const [name, config, batch] of CASES) {
  for (const recomputed of new Set([0, 1, config.layers])) {
    test(`${name}, ${recomputed} layers recomputed: planned within a hundredth`, () => {
      expectWithin(ratios(config, "f32", batch, recomputed), 0.01);
    });
  }
}

test("in bf16 a batch keeps what is planned: the residual stream in fp32, the rest in two bytes", () => {
  using device = openCpu();
  using policy = Policy.open(device, nano, "bf16");
  policy.randomize(1, 0.02);
  using trainer = Trainer.open(policy, ADAMW);
  const batch = star(4, 60, 12, nano.vocab);
  policy.logprobs(batch); // from now on nothing more stays
  for (const recomputed of [0, 2]) {
    const before = counters().cpuBytes;
    trainer.logprobs(batch, { temperature: 1, recompute: recomputed });
    const kept = counters().cpuBytes - before;
    trainer.zero();
    const { length: tokens } = batch.tokens_T;
    const gradient = 4 * tokens * nano.hidden; // counted with the rows, made later
    const shape = engineShape(policy);
    const planned = tokens * headRowBytes(shape, recomputed) - gradient;
    const { length: targets } = batch.targetRows_N; // all in one chunk
    // Beside it the integers of attention's parts, a few a row.
    const ratio = kept / (planned + 8 * targets + headChunkBytes(shape, targets));
    expect(ratio).toBeGreaterThan(0.999999);
    expect(ratio).toBeLessThan(1.004);
  }
});

for (const [name, config, batch] of CASES) {
  test(`${name}, adapters of rank 32 everywhere: planned within a fiftieth`, () => {
    const lora = { rank: 32, alpha: 64, targets: LORA_TARGETS };
    expectWithin(ratios(config, "f32", batch, 1, lora), 0.02);
  });
}

const KEPT: readonly (readonly [Dtype, KeptState])[] = [
  ["f32", { stateBits: 8 }],
  ["bf16", {}],
  ["bf16", { stateBits: 8 }],
  ["bf16", { masterWeights: false }],
  ["bf16", { masterWeights: false, stateBits: 8 }],
  ["bf16", { masterWeights: false, stateBits: 8, offload: true }],
];
test.each(KEPT)("what lives in %s with %o is planned within a hundredth", (dtype, kept) => {
  using device = openCpu();
  const before = counters().cpuBytes;
  using policy = Policy.open(device, nano, dtype);
  policy.randomize(1, 0.02);
  using _trainer = Trainer.open(policy, { ...ADAMW, ...kept });
  policy.logprobs(rowsBatch([[1, 2, 3]])); // packs what stays packed
  const counted = counters().cpuBytes - before;
  const options = { cacheTokens: 0, hasReference: false, maxPosition: 3, kept };
  const planned = sumBytes(residentBytes(engineShape(policy), options));
  expect(Math.abs(planned / counted - 1)).toBeLessThan(0.01);
});

test("a full fine-tune of 7 billion weights fits one H200 without masters and with 8-bit moments only", () => {
  const shape = { ...SEVEN, dtype: "bf16", device: "cuda", threads: 1, panel: 1 } as const;
  const options = { cacheTokens: 0, hasReference: false, maxPosition: 4096 };
  const bytes = (kept: KeptState): number => sumBytes(residentBytes(shape, { ...options, kept }));
  const card = 141e9;
  expect(bytes({})).toBeCloseTo(7.62e9 * (2 + 4 + 12), -9); // bf16, gradients in fp32, fp32 state
  expect(bytes({ masterWeights: false })).toBeGreaterThan(0.75 * card);
  expect(bytes({ masterWeights: false, stateBits: 8 })).toBeLessThan(0.45 * card);
  expect(bytes({ offload: true })).toBeCloseTo(7.62e9 * 6, -9);
});

test("optimizer state and master weights count by their own precision", () => {
  using device = openCpu();
  const config = tinyConfig();
  using policy = Policy.open(device, config, "f32");
  const options = { cacheTokens: 0, hasReference: true, maxPosition: 10 };
  const wide = residentBytes(engineShape(policy), options);
  const half_ = residentBytes({ ...engineShape(policy), dtype: "bf16", device: "cuda" }, options);
  expect(half_.weights).toBe(wide.weights / 2);
  expect(half_.gradients).toBe(wide.gradients);
  expect(half_.optimizer).toBe(wide.optimizer * 1.5); // two moments and the fp32 weights
  expect(half_.packed).toBe(0);
  expect(half_.reference).toBe(half_.weights);
});
