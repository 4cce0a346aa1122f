// One sequence under a model folder: the logprob of every token, and what the gradient of their
// mean is, by tensor. The place where another implementation can be compared with this one. Not
// rewards: those are in src/reward.

import type { Device } from "../../ffi/device.ts";
import { type Dtype, type Policy, type TrieBatch } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { UserError } from "../config/errors.ts";
import { EMBEDDING, HEAD, type ModelFolder } from "./model-folder.ts";
import { loadPolicy } from "./weights.ts";

export interface GradientDigest {
  /** Euclidean. */
  readonly norm: number;
  readonly sum: number;
}
export interface Score {
  readonly ids: readonly number[];
  /** Entry i is log p(ids[i] | ids before it); the first has none. */
  readonly logprobs: readonly (number | null)[];
  /** Of the mean negative logprob, one entry for each tensor of the folder under its own name. */
  readonly grads?: Readonly<Record<string, GradientDigest>>;
}

export interface ScoreOptions {
  readonly device: Device;
  readonly dtype: Dtype;
  readonly grad: boolean;
}

export function scoreIds(
  folder: ModelFolder,
  ids: readonly number[],
  options: ScoreOptions,
): Score {
  checkIds(folder, ids, options.grad);
  if (ids.length < 2) return { ids, logprobs: ids.map(() => null) };
  using policy = loadPolicy(options.device, folder, options.dtype);
  const batch = rowBatch(ids);
  if (!options.grad) return { ids, logprobs: [null, ...policy.logprobs(batch).logprobs_N] };
  using trainer = Trainer.open(policy, { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0 });
  const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
  trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / logprobs_N.length));
  return { ids, logprobs: [null, ...logprobs_N], grads: gradientDigests(folder, policy, trainer) };
}

/** The degenerate trie: one row, every token but the last followed by its target. */
export function rowBatch(ids: readonly number[]): TrieBatch {
  return {
    tokens_T: Int32Array.from(ids),
    positions_T: Int32Array.from(ids, (_, i) => i),
    segments_S3: Int32Array.of(0, ids.length, ids.length),
    targetRows_N: Int32Array.from(ids.slice(1), (_, i) => i),
    targetIds_N: Int32Array.from(ids.slice(1)),
  };
}

function checkIds(folder: ModelFolder, ids: readonly number[], grad: boolean): void {
  const { vocab } = folder.config.policy;
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (bad !== undefined) {
    throw new UserError(`token id ${bad} is not in the vocabulary of ${vocab}`, {
      where: folder.source.name,
    });
  }
  if (ids.length === 0) throw new UserError("no tokens to score");
  if (grad && ids.length < 2) throw new UserError("a gradient needs at least two tokens");
}

/** A tied head that the folder lists has the embedding's gradient: they are one tensor. */
function gradientDigests(
  folder: ModelFolder,
  policy: Policy,
  trainer: Trainer,
): Record<string, GradientDigest> {
  const own = new Set(policy.tensors().map(({ name }) => name));
  const names = [...folder.tensors.keys()].filter((name) => own.has(name) || name === HEAD);
  return Object.fromEntries(
    names.map((name) => [
      name,
      digest(trainer.readTensorF64("gradient", own.has(name) ? name : EMBEDDING)),
    ]),
  );
}

function digest(gradient: Float64Array): GradientDigest {
  let sum = 0;
  let squares = 0;
  for (const value of gradient) {
    sum += value;
    squares += value * value;
  }
  return { norm: Math.sqrt(squares), sum };
}
