// What a linear layer's product and its gradients need besides inputs and outputs. Formulas over
// kernels/linear.cpp and ffi/engine/lora.cpp. Pure.
// Letters: M, T rows.

import { LORA_TARGETS, type LoraTarget, targetShape } from "../../../ffi/lora.ts";
import { type EngineShape, padded, widths } from "./engine-shape.ts";

const PACKED_ELEMENTS = 2 ** 20; // a weight of at most so many stays packed
const FEW_ROWS = 192; // above, a larger weight is packed for one product
const VERY_FEW_ROWS = 4; // below, nothing is packed or transposed
const WEIGHT_GRAD_BLOCK = 256;
const WEIGHT_GRAD_SHARE = 512;
const WIDE_ELEMENTS = 2 ** 25; // kernels/linear.cpp

const hasCpuKernels = (shape: EngineShape): boolean =>
  shape.device === "cpu" && !widths(shape).isMixed;

export const staysPacked = (shape: EngineShape, rows: number, columns: number): boolean =>
  hasCpuKernels(shape) && rows * columns <= PACKED_ELEMENTS;

/** What a product of M rows with a weight [rows, columns] needs besides input and output. */
export function productBytes(shape: EngineShape, M: number, rows: number, columns: number): number {
  const { e } = widths(shape);
  if (!hasCpuKernels(shape) || M < VERY_FEW_ROWS || staysPacked(shape, rows, columns)) return 0;
  if (M > FEW_ROWS) return padded(rows, shape.panel) * columns * e;
  return (rows + columns) * padded(M, 16) * e;
}

/**
 * Beside the gradient of a weight [rows, hidden]: scratch of the threads that share it, or in mixed
 * precision the fp32 product that is added to it.
 */
export function weightGradBytes(shape: EngineShape, rows: number): number {
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
export function matrixGradBytes(shape: EngineShape, T: number, matrix: keyof typeof FUSED): number {
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
