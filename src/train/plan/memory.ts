// How many bytes the engine's tensors take: what lives for the whole run, and the peak of a
// micro-batch, of a reference's logprobs and of a rollout step. Formulas over the buffers of
// ffi/engine and kernels/, checked against the engine's own count by a property test on the CPU. On
// CUDA they are an estimate: what its kernels need besides was never measured. Pure. Not here:
// which micro-batches there are (split.ts), and memory outside the engine's tensors.
// Shape letters: T rows, N targets, d hidden, H heads, K kv heads, D head_dim, F ffn, V vocabulary.

import { LORA_TARGETS, type LoraConfig, type LoraTarget, targetShape } from "../../../ffi/lora.ts";
import type { Dtype, PolicyConfig } from "../../../ffi/policy.ts";
import type { KeptState } from "../../../ffi/trainer.ts";

/** What the sizes depend on besides a batch. */
export interface EngineShape {
  readonly config: PolicyConfig;
  readonly dtype: Dtype;
  readonly device: "cpu" | "cuda";
  readonly threads: number;
  /** Columns that a packed weight is padded to: panelColumns(isa, dtype). */
  readonly panel: number;
  /** Where only adapters learn. */
  readonly lora?: Pick<LoraConfig, "rank" | "targets"> | undefined;
}

export interface BatchSize {
  readonly tokens: number; // T
  readonly targets: number; // N
  /** Of the first so many layers only the inputs are kept. */
  readonly recomputed: number;
}

const ELEMENT_BYTES: Readonly<Record<Dtype, number>> = { f32: 4, f64: 8, bf16: 2, f16: 2 };
const VECTORS: Readonly<Record<string, readonly [bytes: number, vectors: number]>> = {
  avx512: [64, 4],
  avx2: [32, 2],
  base: [16, 2],
};

/** kernels/simd.h */
export function panelColumns(isa: string, dtype: Dtype): number {
  const [bytes, vectors] = VECTORS[isa] ?? VECTORS["avx2"]!;
  return (bytes / ELEMENT_BYTES[dtype]) * vectors;
}

const PACKED_ELEMENTS = 2 ** 20; // a weight of at most so many stays packed
const FEW_ROWS = 192; // above, a larger weight is packed for one product
const VERY_FEW_ROWS = 4; // below, nothing is packed or transposed
const KEY_BLOCK = 64;
const QUERY_BLOCK_ROWS = 64;
const WEIGHT_GRAD_BLOCK = 256;
const WEIGHT_GRAD_SHARE = 512;
const WIDE_ELEMENTS = 2 ** 25; // kernels/linear.cpp
const HEAD_BYTES = { cpu: 2 ** 25, cuda: 2 ** 30 }; // of logits that exist at once in training

/** Widths in elements and bytes of one, derived once. */
interface Widths {
  readonly e: number; // bytes of an element
  readonly w: number; // bytes of a statistic, a gradient, a moment, the residual stream, a logit
  readonly isMixed: boolean; // e < w: the CPU then has no kernels of its own, and packs nothing
  readonly q: number; // H D
  readonly kv: number; // K D
  readonly qkv: number;
}

type Elements = Pick<EngineShape, "config" | "dtype">;

function widths({ config: { heads, kvHeads, headDim }, dtype }: Elements): Widths {
  const e = ELEMENT_BYTES[dtype];
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  const w = Math.max(4, e);
  return { e, w, isMixed: e < w, q, kv, qkv: q + 2 * kv };
}

export function numParameters(config: PolicyConfig): number {
  const { hidden, layers, headDim, vocab, qkvBias, qkNorm, tied } = config;
  const matrices = layerMatrices(config).reduce((sum, [rows, columns]) => sum + rows * columns, 0);
  const [qkvRows] = layerMatrices(config)[0]!;
  const vectors = 2 * hidden + (qkvBias ? qkvRows : 0) + (qkNorm ? 2 * headDim : 0);
  return layers * (matrices + vectors) + hidden + (tied ? 1 : 2) * vocab * hidden;
}

/** Of the adapters of all layers, A and B. */
export function adapterParameters({ config, lora }: EngineShape): number {
  if (lora === undefined) return 0;
  const sizes = lora.targets.map((target) => targetShape(config, target));
  return config.layers * lora.rank * sizes.reduce((sum, each) => sum + each.rows + each.columns, 0);
}

/** [rows, columns] of q k v, o, gate up, down. */
function layerMatrices({
  hidden,
  heads,
  kvHeads,
  headDim,
  ffn,
}: PolicyConfig): readonly (readonly [number, number])[] {
  const q = heads * headDim;
  return [
    [q + 2 * kvHeads * headDim, hidden],
    [hidden, q],
    [2 * ffn, hidden],
    [hidden, ffn],
  ];
}

export interface ResidentBytes {
  readonly weights: number;
  /** Copies of small weights in the order in which the CPU's products read them. */
  readonly packed: number;
  readonly gradients: number;
  readonly optimizer: number; // on the device: moments, and master weights that are not the policy's
  readonly base: number; // of adapters
  readonly reference: number; // weights, where the base is not those, and their packed copies
  readonly cache: number;
  readonly rotary: number;
}

export interface ResidentOptions {
  readonly cacheTokens: number;
  readonly hasReference: boolean;
  readonly maxPosition: number;
  /** Of a full fine-tune; absent: fp32 on the device. */
  readonly kept?: KeptState;
}

/** Bytes of both moments and of master weights, wherever they lie. */
export function optimizerBytes(shape: EngineShape, kept: KeptState = {}): number {
  const { stateBits = 32, masterWeights = true } = kept;
  const { w, isMixed } = widths(shape);
  if (shape.lora !== undefined) return 3 * w * adapterParameters(shape);
  const moments = stateBits === 8 ? CODED_MOMENTS : 2 * w;
  return numParameters(shape.config) * (moments + (isMixed && masterWeights ? w : 0));
}

/** Codes, and in each block of 256 two scales and a shift (ffi/engine/codes.h). */
const CODED_MOMENTS = 2 + 9 / 256;

export function residentBytes(
  shape: EngineShape,
  { cacheTokens, hasReference, maxPosition, kept }: ResidentOptions,
): ResidentBytes {
  const { config, lora } = shape;
  const { e, w, kv } = widths(shape);
  const parameters = numParameters(config);
  const learning = lora === undefined ? parameters : adapterParameters(shape);
  const packed = packedBytes(shape);
  const positions = Math.max(256, 2 ** Math.ceil(Math.log2(maxPosition + 1)));
  const rotary = positions * config.headDim * w;
  return {
    weights: parameters * e,
    packed,
    gradients: learning * w,
    optimizer: isOnHost(shape, kept) ? 0 : optimizerBytes(shape, kept),
    base: lora === undefined ? 0 : parameters * e,
    reference: hasReference ? (lora === undefined ? parameters * e : 0) + packed : 0,
    cache: 2 * cacheTokens * kv * config.layers * e,
    rotary: hasReference ? 2 * rotary : rotary,
  };
}

/** A CPU's own memory counts either way. */
export const isOnHost = ({ device }: EngineShape, kept: KeptState = {}): boolean =>
  device === "cuda" && kept.offload === true;

export const sumBytes = (bytes: ResidentBytes): number =>
  Object.values(bytes).reduce((sum: number, each: number) => sum + each, 0);

function packedBytes(shape: EngineShape): number {
  const { config, panel } = shape;
  const head = [config.vocab, config.hidden] as const;
  const all = [...Array.from({ length: config.layers }, () => layerMatrices(config)).flat(), head];
  const kept = all.filter(([rows, columns]) => staysPacked(shape, rows, columns));
  const elements = kept.reduce((sum, [rows, columns]) => sum + padded(rows, panel) * columns, 0);
  return elements * widths(shape).e;
}

const padded = (value: number, to: number): number => Math.ceil(value / to) * to;

const hasCpuKernels = (shape: EngineShape): boolean =>
  shape.device === "cpu" && !widths(shape).isMixed;

const staysPacked = (shape: EngineShape, rows: number, columns: number): boolean =>
  hasCpuKernels(shape) && rows * columns <= PACKED_ELEMENTS;

/** What a product of M rows with a weight [rows, columns] needs besides input and output. */
function productBytes(shape: EngineShape, M: number, rows: number, columns: number): number {
  const { e } = widths(shape);
  if (!hasCpuKernels(shape) || M < VERY_FEW_ROWS || staysPacked(shape, rows, columns)) return 0;
  if (M > FEW_ROWS) return padded(rows, shape.panel) * columns * e;
  return (rows + columns) * padded(M, 16) * e;
}

/**
 * Beside the gradient of a weight [rows, hidden]: scratch of the threads that share it, or in mixed
 * precision the fp32 product that is added to it.
 */
function weightGradBytes(shape: EngineShape, rows: number): number {
  const { w, isMixed } = widths(shape);
  if (isMixed) return w * Math.min(rows * shape.config.hidden, WIDE_ELEMENTS);
  if (shape.device !== "cpu") return 0;
  const share = Math.max(24, Math.ceil(rows / shape.threads));
  const threads = Math.ceil(rows / share);
  return threads * Math.min(WEIGHT_GRAD_SHARE, share) * WEIGHT_GRAD_BLOCK * widths(shape).e;
}

/** The modules that lie in one stored matrix. */
const FUSED = {
  qkv: ["q_proj", "k_proj", "v_proj"],
  o: ["o_proj"],
  gateUp: ["gate_proj", "up_proj"],
  down: ["down_proj"],
} as const satisfies Record<string, readonly LoraTarget[]>;

/** What the gradient of a stored matrix, or of its adapters, needs besides input and output. */
function matrixGradBytes(shape: EngineShape, T: number, matrix: keyof typeof FUSED): number {
  const { config, lora } = shape;
  const all: readonly LoraTarget[] = FUSED[matrix];
  const rowsOf = (targets: readonly LoraTarget[]): number[] =>
    targets.map((target) => targetShape(config, target).rows);
  if (lora === undefined) {
    return weightGradBytes(shape, rowsOf(all).reduce((sum, rows) => sum + rows, 0));
  }
  const adapted = LORA_TARGETS.filter((each) => all.includes(each) && lora.targets.includes(each));
  if (adapted.length === 0) return 0;
  const { e } = widths(shape);
  const width = adapted.length * lora.rank;
  const products = T * e * (2 * width + lora.rank); // x A^T, d_y B, one module's part of that
  const [alone = 0] = all.length === 1 ? rowsOf(adapted) : []; // others are cut out of their matrix
  return products + weightGradBytes(shape, Math.max(width, alone));
}

/** One row of everything that a layer keeps. */
function tapeBytes(shape: EngineShape): number {
  const { hidden, heads, kvHeads, ffn, qkNorm } = shape.config;
  const { e, w, q, kv, qkv } = widths(shape);
  const statistics = 2 + heads + (qkNorm ? heads + kvHeads : 0);
  return e * (qkv + (q + kv) + q + 2 * ffn) + w * (2 * hidden + statistics);
}

/** Keys and values in the order that attention reads, and what its threads need. */
function attentionBytes(shape: EngineShape, T: number, backward: boolean): number {
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
