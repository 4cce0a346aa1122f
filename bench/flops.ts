// How much arithmetic a piece of work is, and how much memory it must read. Counted from what was
// computed, token by token: products of the linear layers, the LM head where a logit is wanted,
// and attention by the pairs of query and key that the causal mask leaves. Not counted: norms,
// rotations, softmax, the optimizer. Pure.
//
// `useful` is what any implementation has to do; `recomputed` is what ours does again to keep less
// (attention's scores and most logits in the backward, whole layers where asked for). A rate from
// the first can't exceed the machine's; nor can one from their sum.

import type { PolicyConfig, TrieBatch } from "../ffi/policy.ts";
import { tokenFlops } from "../src/train/plan/cost.ts";
import { headRows } from "../src/train/plan/batch-memory.ts";
import { numRollouts, type StepShape } from "./shapes.ts";

export interface Flops {
  readonly useful: number;
  readonly recomputed: number;
}

/** Weights that each token is multiplied with; the embedding is looked up, the head is apart. */
export const bodyWeights = (config: PolicyConfig): number => tokenFlops(config).layers / 2;

export const headWeights = (config: PolicyConfig): number => tokenFlops(config).head / 2;

/** One product of attention over one pair of query and key, in all heads and layers. */
const pairFlops = (config: PolicyConfig): number => tokenFlops(config).key / 2;

/** Forward and backward of training batches; the forward of some layers is computed twice. */
export function updateFlops(
  config: PolicyConfig,
  batches: readonly TrieBatch[],
  recomputedLayers = 0,
): Flops {
  const [body, head, pair] = [bodyWeights(config), headWeights(config), pairFlops(config)];
  const again = recomputedLayers / config.layers;
  let [useful, recomputed] = [0, 0];
  for (const { tokens_T, positions_T, targetRows_N } of batches) {
    const [tokens, pairs] = [tokens_T.length, countPairs(positions_T)];
    const [rows, targets] = [new Set(targetRows_N).size, targetRows_N.length];
    // Forward 2 products (scores, values), backward 4 (values, probabilities, queries, keys).
    useful += 6 * body * tokens + 6 * head * rows + 6 * pair * pairs;
    // All logits but the last chunk's twice, and everything for targets that share their row.
    recomputed += 2 * head * (targets - keptTargets(config, targets));
    recomputed += 6 * head * (targets - rows) + pair * pairs;
    recomputed += again * (2 * body * tokens + 2 * pair * pairs);
  }
  return { useful, recomputed };
}

/** Targets of the head's last chunk, whose logits the backward finds there. */
function keptTargets(config: PolicyConfig, targets: number): number {
  const chunk = headRows({ config, dtype: "f32", device: "cpu" });
  return targets - Math.floor(Math.max(0, targets - 1) / chunk) * chunk;
}

/** A token reads its ancestors and itself, as many as its position says. */
function countPairs(positions_T: Int32Array): number {
  let pairs = 0;
  for (const position of positions_T) pairs += position + 1;
  return pairs;
}

/** The decoding of a whole step, prompts being in the cache: all of its sequences, token by token. */
export interface DecodeWork {
  readonly flops: number;
  /** Weights and the keys and values of distinct tokens, each read once a forward. */
  readonly bytes: number;
}

export function decodeWork(config: PolicyConfig, shape: StepShape, elementBytes = 4): DecodeWork {
  const { prompts, shared, own, sampled } = shape;
  const sequences = numRollouts(shape);
  const weights = bodyWeights(config) + headWeights(config);
  const cached = 2 * config.kvHeads * config.headDim * config.layers;
  let [flops, elements] = [0, 0];
  for (let step = 1; step <= sampled; step++) {
    const seen = shared + own + step;
    flops += sequences * (2 * weights + 2 * pairFlops(config) * seen);
    elements += weights + cached * (shared + prompts * own + sequences * step);
  }
  return { flops, bytes: elements * elementBytes };
}
