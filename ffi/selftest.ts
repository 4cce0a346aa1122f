// Does this device compute what it should? Forward, gradients, cache, sampler and optimizer of tiny
// random policies against the same in double on the CPU, and each kernel against its slow
// reference. Not a speed test, and no proof that double itself is right: the committed golden
// values do that.

import { type CacheBatch, KvCache } from "./cache.ts";
import { Device, type DeviceKind } from "./device.ts";
import { chosenKernels, type KernelFile, kernelFiles } from "./kernels.ts";
import { type Dtype, Policy, type PolicyConfig, type TrieBatch } from "./policy.ts";
import { Trainer } from "./trainer.ts";

export interface SelftestResult {
  readonly name: string;
  /**
   * Relative: the norm of the difference over the norm of the reference; for the sampler the share
   * of other draws.
   */
  readonly error: number;
  readonly bound: number;
  readonly ok: boolean;
}

interface Bounds {
  readonly forward: number;
  readonly cache: number;
  readonly gradients: number;
  readonly sampler: number;
  readonly optimizer: number;
}
const BOUNDS: Readonly<Partial<Record<Dtype, Bounds>>> = {
  f32: { forward: 1e-4, cache: 1e-4, gradients: 1e-4, sampler: 0.01, optimizer: 1e-3 },
  // Three times what a CPU gives: 0.0020, 0.016, 0.016, 0.058 and 0.021.
  bf16: { forward: 0.006, cache: 0.05, gradients: 0.05, sampler: 0.17, optimizer: 0.065 },
};
const KERNEL_BOUND = 1e-4;
/** Of our CUDA kernels: fp32 sums, and in bf16 the rounding of a result (2^-9 at most). */
const OUR_BOUNDS = { f32: 2e-5, bf16: 4e-3 } as const;
/** As kernels/check.cpp names them. */
const KERNELS = [
  "linear",
  "rmsnorm",
  "rope",
  "swiglu",
  "attention",
  "cache_attention",
  "attention_parts",
  "cache_attention_parts",
  "logprob",
  "sample",
] as const;

const COMMON = {
  hidden: 48,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffn: 80,
  vocab: 131,
  rmsEps: 1e-6,
};
const PLAIN = { qkvBias: false, qkNorm: false, tied: false, ropeAttentionScale: 1 };
const FAMILIES: Readonly<Record<string, PolicyConfig>> = {
  qwen2: { ...COMMON, ...PLAIN, qkvBias: true, tied: true, invFreq: inverseFrequencies(16, 1e6) },
  qwen3: { ...COMMON, ...PLAIN, qkNorm: true, tied: true, invFreq: inverseFrequencies(16, 1e6) },
  llama: { ...COMMON, ...PLAIN, invFreq: inverseFrequencies(16, 5e5) },
  // The smallest that flash attention serves.
  "heads of 64": { ...COMMON, ...PLAIN, headDim: 64, invFreq: inverseFrequencies(64, 1e6) },
};

/** What a device is used with: recipes refuse bf16 on a CPU, which is slow there. */
const DTYPES: Readonly<Record<DeviceKind, readonly Dtype[]>> = {
  cpu: ["f32"],
  cuda: ["f32", "bf16"],
};

export function selftest(device: Device, dtypes = DTYPES[device.kind]): SelftestResult[] {
  const families = dtypes.flatMap((dtype) =>
    Object.entries(FAMILIES).flatMap(([family, config]) =>
      checkFamily(device, family, config, dtype),
    ),
  );
  const kernels = KERNELS.map((kernel) =>
    result(`kernel ${kernel}`, device.checkKernel(kernel, 1), KERNEL_BOUND),
  );
  return [...families, ...kernels, ...(device.kind === "cuda" ? checkOurs(device, kernelFiles()) : [])];
}

/** Our CUDA kernels, last: one that fails badly takes the device with it. Whether they are used is ICRL_CUDA_KERNELS' matter. */
export function checkOurs(device: Device, files: readonly KernelFile[]): SelftestResult[] {
  const used = chosenKernels(process.env["ICRL_CUDA_KERNELS"], files);
  return files.flatMap((file) => {
    const state = used.includes(file) ? "ours, in use" : "ours, off";
    device.loadKernel(file.name, file.read(), { use: false });
    return Object.entries(OUR_BOUNDS).map(([type, bound]) => {
      const error = device.checkKernel(`cuda.${file.name}${type === "f32" ? "" : `.${type}`}`, 1);
      return result(`kernel cuda.${file.name} ${type} (${state})`, error, bound);
    });
  });
}

function checkFamily(
  device: Device,
  family: string,
  config: PolicyConfig,
  dtype: Dtype,
): SelftestResult[] {
  const bounds = BOUNDS[dtype]!;
  using cpu = Device.open("cpu");
  using policy = Policy.open(device, config, dtype);
  policy.randomize(1, 0.15);
  using reference = Policy.open(cpu, config, "f64");
  reference.copyFrom(policy);
  const [tested, exact] = [policy, reference].map(probe) as [Probe, Probe];
  const name = (what: string): string => `${what} ${family} ${dtype}`;
  const other = tested.ids.filter((id, i) => id !== exact.ids[i]).length / exact.ids.length;
  return [
    result(name("forward"), relativeError(tested.logprobs, exact.logprobs), bounds.forward),
    result(name("entropies"), relativeError(tested.entropies, exact.entropies), bounds.forward),
    result(name("gradients"), relativeError(tested.gradient, exact.gradient), bounds.gradients),
    result(name("cache"), relativeError(tested.logits, exact.logits), bounds.cache),
    result(name("decode"), relativeError(tested.decoded, exact.decoded), bounds.cache),
    result(name("sampler"), other, bounds.sampler),
    result(name("optimizer"), relativeError(tested.change, exact.change), bounds.optimizer),
  ];
}

/** What one policy computes; the same calls for the tested one and the reference. */
interface Probe {
  readonly logprobs: Float64Array;
  readonly entropies: Float64Array;
  readonly gradient: Float64Array;
  readonly logits: Float32Array; // after a prefill
  readonly decoded: Float32Array; // after one more token in each of two branches
  readonly ids: Int32Array;
  /** Of all weights, after three steps. */
  readonly change: Float64Array;
}

function probe(policy: Policy): Probe {
  using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
  const { ids_N: ids, logits_NV } = cache.forward(sampledBatch());
  const logits = logits_NV!.slice(0, policy.config.vocab);
  const decoded = cache.forward(branchesBatch()).logits_NV!;
  // A large eps: where a gradient is nearly zero, Adam would turn its rounding into a full step.
  using trainer = Trainer.open(policy, { beta1: 0.9, beta2: 0.95, eps: 1e-3, weightDecay: 0.1 });
  const before = concatenate(policy, (name) => trainer.readTensorF64("master", name));
  const first = accumulate(trainer);
  const gradient = concatenate(policy, (name) => trainer.readTensorF64("gradient", name));
  for (let step = 0; step < 3; step++) {
    trainer.step({ learningRate: 0.01, maxGradNorm: 1 });
    accumulate(trainer);
  }
  const after = concatenate(policy, (name) => trainer.readTensorF64("master", name));
  return { ...first, gradient, logits, decoded, ids, change: after.map((value, i) => value - before[i]!) };
}

function accumulate(trainer: Trainer): { logprobs: Float64Array; entropies: Float64Array } {
  const { logprobs_N, entropies_N } = trainer.logprobs(trieBatch(), { temperature: 1 });
  const wave = (n: number): number => Math.cos(n) / logprobs_N.length;
  trainer.backward(
    logprobs_N.map((_, n) => wave(n)),
    logprobs_N.map((_, n) => wave(2 * n)),
  );
  return { logprobs: logprobs_N, entropies: entropies_N };
}

/** A prefix of 29 tokens with two branches of 17 and 12, each token but the first a target. */
function trieBatch(): TrieBatch {
  const [prefix, left, right] = [29, 17, 12];
  const total = prefix + left + right;
  const branch = prefix + left; // the second branch's first token
  const targets = Array.from({ length: total - 1 }, (_, i) => i + 1);
  return {
    tokens_T: Int32Array.from({ length: total }, (_, i) => (i * 37) % COMMON.vocab),
    positions_T: Int32Array.from({ length: total }, (_, i) => (i < branch ? i : i - left)),
    segments_S3: Int32Array.of(0, prefix, total, prefix, branch, branch, branch, total, total),
    targetRows_N: Int32Array.from(targets, (t) => (t === branch ? prefix - 1 : t - 1)),
    targetIds_N: Int32Array.from(targets, (t) => (t * 37) % COMMON.vocab),
  };
}

/** 29 tokens over two pages, and 1,024 draws after the last. */
function sampledBatch(): CacheBatch {
  const [tokens, draws] = [29, 1024];
  return {
    tokens_T: Int32Array.from({ length: tokens }, (_, i) => (i * 37) % COMMON.vocab),
    positions_T: Int32Array.from({ length: tokens }, (_, i) => i),
    slots_T: Int32Array.from({ length: tokens }, (_, i) => (i < 16 ? 32 + i : i)),
    segments_S5: Int32Array.of(0, tokens, 0, 0, tokens),
    pages_P: Int32Array.of(2, 1),
    rows_N: new Int32Array(draws).fill(tokens - 1),
    streams_N3: Int32Array.from({ length: 3 * draws }, (_, i) =>
      i % 3 === 0 ? Math.floor(i / 3) : i % 3,
    ),
    seed: 1,
    temperature: 1,
    wantLogits: true,
  };
}

/** A token after those 29 in each of two branches, which read them and their own page. */
function branchesBatch(): CacheBatch {
  return {
    tokens_T: Int32Array.of(5, 71),
    positions_T: Int32Array.of(29, 29),
    slots_T: Int32Array.of(0, 48),
    segments_S5: Int32Array.of(0, 29, 0, 0, 2, 2, 1, 29, 0, 1, 3, 1, 29, 1, 2),
    pages_P: Int32Array.of(2, 1, 0, 3),
    rows_N: Int32Array.of(0, 1),
    streams_N3: Int32Array.of(0, 0, 29, 1, 0, 29),
    seed: 1,
    temperature: 1,
    wantLogits: true,
  };
}

function concatenate(policy: Policy, read: (name: string) => Float64Array): Float64Array {
  const parts = policy.tensors().map(({ name }) => read(name));
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

function inverseFrequencies(headDim: number, theta: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
}

function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, reference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    reference += expected[i]! ** 2;
  }
  return Math.sqrt(difference / reference);
}

/** NaN is never ok. */
function result(name: string, error: number, bound: number): SelftestResult {
  return { name, error, bound, ok: error <= bound };
}
