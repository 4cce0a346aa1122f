// FLOPs of a policy's work, counted as done: products of the weights, attention over the keys that
// a token reads, the LM head for the rows that are scored. A multiply and an add are two. Norms,
// rotations, softmax and the optimizer are left out: they are bytes, not FLOPs. Pure.

import type { PolicyConfig } from "../../../ffi/policy.ts";
import type { BatchLoad } from "../split.ts";

type Load = Pick<BatchLoad, "tokens" | "keys">;

/** Forward. */
export interface TokenFlops {
  readonly layers: number; // a token through all layers, attention apart
  readonly key: number; // a token reading one key, in all layers
  readonly head: number; // a row of logits
}

export function tokenFlops(config: PolicyConfig): TokenFlops {
  const { hidden, layers, heads, kvHeads, headDim, ffn, vocab } = config;
  const matrices = hidden * headDim * (2 * heads + 2 * kvHeads) + 3 * hidden * ffn;
  return {
    layers: 2 * layers * matrices,
    key: 4 * layers * heads * headDim,
    head: 2 * hidden * vocab,
  };
}

/** Of a forward; its backward has two products where it has one, and attention five for two. */
const FORWARD_AND_BACKWARD = { products: 3, attention: 3.5 };
/** The head's logits are computed again in the backward. */
const HEAD_PASSES = 4;

/** Forward and backward of the layers; `again`: the share of layers that are computed twice. */
export function trainingFlops(
  flops: TokenFlops,
  { tokens, keys }: Load,
  again: number,
): number {
  const { products, attention } = FORWARD_AND_BACKWARD;
  return tokens * flops.layers * (products + again) + keys * flops.key * (attention + again);
}

export const forwardFlops = (flops: TokenFlops, { tokens, keys }: Load): number =>
  tokens * flops.layers + keys * flops.key;

export const headTrainingFlops = (flops: TokenFlops, targets: number): number =>
  HEAD_PASSES * targets * flops.head;
