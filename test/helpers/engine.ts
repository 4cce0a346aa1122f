// Tiny policies for tests of the engine: small sizes that no block size divides, weights under
// which every part matters.

import { Device } from "../../ffi/device.ts";
import { setThreads } from "../../ffi/native.ts";
import { type Dtype, Policy, type PolicyConfig, type TrieBatch } from "../../ffi/policy.ts";
import type { TrainerConfig } from "../../ffi/trainer.ts";
import { rotary } from "../../src/model/rope.ts";

export const ADAMW: TrainerConfig = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0 };

/** One thread is fastest for tiny policies, and two are for what threads could break. */
export function openCpu(threads = 1): Device {
  setThreads(threads);
  return Device.open("cpu");
}

/** Qwen3-like with grouped queries; `change` makes it something else. */
export function tinyConfig(change: Partial<PolicyConfig> = {}): PolicyConfig {
  const headDim = change.headDim ?? 6;
  return {
    hidden: 20,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim,
    ffn: 28,
    vocab: 37,
    qkvBias: true,
    qkNorm: true,
    tied: false,
    rmsEps: 1e-6,
    ropeAttentionScale: 1,
    invFreq: rotary({ type: "default", theta: 1000 }, headDim).invFreq,
    ...change,
  };
}

/** The caller closes it. The weights depend on the seed and the config only, not on the dtype. */
export function openTiny(
  device: Device,
  dtype: Dtype,
  change: Partial<PolicyConfig> = {},
  seed = 1,
): Policy {
  const policy = Policy.open(device, tinyConfig(change), dtype);
  const random = uniform(seed);
  for (const { name, shape } of policy.tensors()) {
    const center = name.endsWith("norm.weight") ? 1 : 0;
    const width = shape.length === 2 ? 2 / Math.sqrt(shape[1]!) : 0.6;
    const size = shape.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: size }, () => center + width * (2 * random() - 1));
    policy.write(name, data, "f32");
  }
  return policy;
}

/** Numbers in [0, 1), the same for a seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomIds(count: number, vocab: number, seed: number): number[] {
  const random = uniform(seed);
  return Array.from({ length: count }, () => Math.floor(random() * vocab));
}

/** Sequences as separate rows, each token but the first a target. */
export function rowsBatch(rows: readonly (readonly number[])[]): TrieBatch {
  const starts = rows.map((_, i) => rows.slice(0, i).reduce((sum, row) => sum + row.length, 0));
  return {
    tokens_T: Int32Array.from(rows.flat()),
    positions_T: Int32Array.from(rows.flatMap((row) => row.map((_, i) => i))),
    segments_S3: Int32Array.from(
      rows.flatMap((row, i) => [starts[i]!, starts[i]! + row.length, starts[i]! + row.length]),
    ),
    targetRows_N: Int32Array.from(
      rows.flatMap((row, i) => row.slice(1).map((_, j) => starts[i]! + j)),
    ),
    targetIds_N: Int32Array.from(rows.flatMap((row) => row.slice(1))),
  };
}

export function maxAbs(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i]!));
  return max;
}

/** Largest difference relative to the largest reference value. NaN where anything is NaN. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} values for ${expected.length}`);
  let max = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= max)) max = difference;
  }
  return max / Math.max(maxAbs(expected), 1e-300);
}

export function logSoftmax(logits: ArrayLike<number>, temperature = 1): Float64Array {
  const scaled = Float64Array.from(logits, (logit) => logit / temperature);
  const max = Math.max(...scaled);
  const logSum = max + Math.log(scaled.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return scaled.map((logit) => logit - logSum);
}
