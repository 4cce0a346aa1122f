// How many bytes come and go: the peak of a micro-batch, of a reference's logprobs and of a rollout
// step. Formulas over the buffers of ffi/engine and kernels/, checked against the engine's own count
// by a property test on the CPU. On CUDA they are an estimate: what its kernels need besides was
// never measured. Pure. Not here: which micro-batches there are (split.ts), and memory outside the
// engine's tensors.
// Letters: T rows, N targets, d hidden, H heads, K kv heads, D head_dim, F ffn, V vocabulary.

import { type Elements, type EngineShape, layerMatrices, padded, widths } from "./engine-shape.ts";
import { matrixGradBytes, productBytes, weightGradBytes } from "./product-memory.ts";

export interface BatchSize {
  readonly tokens: number; // T
  readonly targets: number; // N
  /** Of the first so many layers only the inputs are kept. */
  readonly recomputed: number;
}

const KEY_BLOCK = 64;
const QUERY_BLOCK_ROWS = 64;
const HEAD_BYTES = { cpu: 2 ** 25, cuda: 2 ** 30 }; // of logits that exist at once in training

/** One row of everything that a layer keeps. */
function tapeBytes(shape: EngineShape): number {
  const { hidden, heads, kvHeads, ffn, qkNorm } = shape.config;
  const { e, w, q, kv, qkv } = widths(shape);
  const statistics = 2 + heads + (qkNorm ? heads + kvHeads : 0);
  return e * (qkv + (q + kv) + q + 2 * ffn) + w * (2 * hidden + statistics);
}

/** What attention needs besides input and output. */
const attentionBytes = (shape: EngineShape, T: number, backward: boolean): number =>
  shape.device === "cuda" ? partsBytes(shape, T, backward) : blocksBytes(shape, T, backward);

/**
 * Attention in parts by libtorch's flash attention: rows gathered for a group of parts, their
 * results and the merge; in the backward dQ in fp32 and dK, dV of every head. Never measured.
 */
const partsBytes = (shape: EngineShape, T: number, backward: boolean): number =>
  T * widths(shape).q * (backward ? 18 : 12);

/** Keys and values in the order that attention reads, and what its threads need. */
function blocksBytes(shape: EngineShape, T: number, backward: boolean): number {
  const { kvHeads, heads, headDim } = shape.config;
  const { e, kv } = widths(shape);
  const group = heads / kvHeads;
  const blockTokens = Math.max(1, Math.floor(QUERY_BLOCK_ROWS / group));
  const scratch = padded(group * blockTokens, 16) * (5 * padded(headDim, 16) + 2 * KEY_BLOCK + 4);
  const partial = backward ? touchedHeads(shape, T, blockTokens) * 2 * T * headDim : 0;
  return e * (2 * kv * T + shape.threads * scratch + partial);
}

/** Pairs of a thread and a kv head it sums gradients for: a head cut by a share counts twice. */
function touchedHeads(shape: EngineShape, T: number, blockTokens: number): number {
  const { threads, config } = shape;
  if (T <= blockTokens) return config.kvHeads;
  let cuts = 0;
  for (let share = 1; share < threads; share++) {
    if ((share * config.kvHeads) % threads !== 0) cuts++;
  }
  return config.kvHeads + cuts;
}

/** The most that a layer's forward holds besides what earlier layers keep; its tape included. */
function layerForwardBytes(shape: EngineShape, T: number): number {
  const { hidden, ffn } = shape.config;
  const { e, w, isMixed } = widths(shape);
  const [, , gateUp, down] = layerMatrices(shape.config);
  const tape = T * tapeBytes(shape);
  const rest = T * (e * 2 * ffn + w * (hidden + 1)); // made after attention
  const output = T * hidden * (isMixed ? w + e : w); // with the product that is added to it
  const normed = T * (e * hidden);
  return Math.max(
    tape - rest + attentionBytes(shape, T, false),
    tape + normed + productBytes(shape, T, gateUp![0], gateUp![1]),
    tape + T * e * ffn + output + productBytes(shape, T, down![0], down![1]),
  );
}

/** The most that a layer's backward holds besides tapes and the gradient that it is given. */
function layerBackwardBytes(shape: EngineShape, T: number): number {
  const { hidden, ffn } = shape.config;
  const { e, w, isMixed, q, qkv } = widths(shape);
  const normed = T * (e * hidden + w);
  const narrowed = isMixed ? T * e * hidden : 0; // the stream's gradient
  const activated = T * e * ffn;
  const attention = T * e * (q + qkv);
  const most = Math.max(
    activated + matrixGradBytes(shape, T, "down"),
    activated + normed + matrixGradBytes(shape, T, "gateUp"),
    matrixGradBytes(shape, T, "o"),
    attention + attentionBytes(shape, T, true),
    attention + normed + matrixGradBytes(shape, T, "qkv"),
  );
  return narrowed + most;
}

export function headRows(shape: Elements & Pick<EngineShape, "device">): number {
  const rows = Math.floor(HEAD_BYTES[shape.device] / (shape.config.vocab * widths(shape).w));
  return Math.min(8192, Math.max(16, rows));
}

/** Of targets whose logits exist, as the last chunk's do from the forward to the backward. */
export function headChunkBytes(shape: EngineShape, rows: number): number {
  const { hidden, vocab } = shape.config;
  const { e, w } = widths(shape);
  return rows * (e * hidden + w * (hidden + vocab + 1));
}

/** Logits of `rows` targets, and what their product or their gradients need besides. */
function headBytes(shape: EngineShape, rows: number): number {
  const { hidden, vocab } = shape.config;
  const { e, w, isMixed } = widths(shape);
  const chosen = headChunkBytes(shape, rows);
  const forward = productBytes(shape, rows, vocab, hidden);
  const narrowed = isMixed ? rows * e * vocab : 0; // the gradient of the logits
  const scratch = shape.lora === undefined ? weightGradBytes(shape, vocab) : 0;
  const gradients = narrowed + Math.max(scratch, rows * (e + w) * hidden);
  // Logprobs, and their exponentials or their gradient.
  const scored = shape.device === "cuda" ? 2 * rows * w * vocab : 0;
  return chosen + Math.max(forward, gradients, scored);
}

/** Peak of logprobs and backward of a micro-batch, beyond what is resident. */
export function batchBytes(shape: EngineShape, { tokens, targets, recomputed }: BatchSize): number {
  return Math.max(
    layersPeak(shape, tokens, targets, recomputed),
    tokens * headRowBytes(shape, recomputed) + headPeak(shape, targets),
  );
}

/** Tokens, positions, target rows and ids. */
const arraysBytes = (T: number, N: number): number => 8 * (T + N);

/** The most that the layers' forward and backward hold. */
export function layersPeak(shape: EngineShape, T: number, N: number, recomputed: number): number {
  const stream = T * widths(shape).w * shape.config.hidden;
  const tape = T * tapeBytes(shape);
  const kept = (below: number): number =>
    Math.min(below, recomputed) * stream + Math.max(0, below - recomputed) * tape;
  const forward = layerForwardBytes(shape, T);
  const backward = stream + layerBackwardBytes(shape, T);
  const before = kept(shape.config.layers - 1);
  const again = kept(Math.max(0, recomputed - 1));
  return (
    arraysBytes(T, N) +
    Math.max(
      before + forward,
      before + tape + backward, // of the last layer
      recomputed > 0 ? again + stream + forward : 0,
      recomputed > 0 ? again + tape + backward : 0,
    )
  );
}

/** Of each row while the head works: what is kept, the last layer's output and its gradient. */
export function headRowBytes(shape: EngineShape, recomputed: number): number {
  const { layers, hidden } = shape.config;
  const stream = widths(shape).w * hidden;
  return 8 + recomputed * stream + (layers - recomputed) * tapeBytes(shape) + 2 * stream;
}

/** Of the head's targets at its peak. */
export const headPeak = (shape: EngineShape, targets: number): number =>
  8 * targets + headBytes(shape, Math.min(targets, headRows(shape)));

/** Peak of one step of the rollout engine: T new tokens, `rows` of them sampled after. */
export function rolloutBytes(shape: EngineShape, T: number, rows: number): number {
  const { hidden, heads, ffn, vocab, qkNorm } = shape.config;
  const { e, w, q, qkv } = widths(shape);
  const [, , gateUp] = layerMatrices(shape.config);
  const layer =
    T * (e * (hidden + q + ffn + qkv + 2 * ffn) + w * (hidden + 1 + (qkNorm ? heads : 0))) +
    productBytes(shape, T, gateUp![0], gateUp![1]);
  // On CUDA sampling has logprobs and probabilities beside the logits.
  const sampled = shape.device === "cuda" ? rows * vocab * 2 * w : 0;
  const logits =
    rows * (e * hidden + w * (hidden + vocab)) +
    Math.max(sampled, productBytes(shape, rows, vocab, hidden));
  return 12 * T + Math.max(layer, T * w * hidden + logits);
}
