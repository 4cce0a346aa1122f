// The sizes of a policy on a device that all memory formulas begin with: widths in elements, bytes of
// an element, parameters. Pure.
// Letters: H heads, K kv heads, D head_dim.

import { type LoraConfig, targetShape } from "../../../ffi/lora.ts";
import type { Dtype, PolicyConfig } from "../../../ffi/policy.ts";

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

/** Widths in elements and bytes of one, derived once. */
export interface Widths {
  readonly e: number; // bytes of an element
  readonly w: number; // bytes of a statistic, a gradient, a moment, the residual stream, a logit
  readonly isMixed: boolean; // e < w: the CPU then has no kernels of its own, and packs nothing
  readonly q: number; // H D
  readonly kv: number; // K D
  readonly qkv: number;
}

export type Elements = Pick<EngineShape, "config" | "dtype">;

export function widths({ config: { heads, kvHeads, headDim }, dtype }: Elements): Widths {
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
export function layerMatrices({
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

export const padded = (value: number, to: number): number => Math.ceil(value / to) * to;
