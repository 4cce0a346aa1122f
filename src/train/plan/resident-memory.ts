// How many bytes live for the whole run: weights, gradients, optimizer, reference, cache. Pure. On CUDA
// an estimate that was never measured.

import type { KeptState } from "../../../ffi/trainer.ts";
import {
  adapterParameters,
  type EngineShape,
  layerMatrices,
  numParameters,
  padded,
  widths,
} from "./engine-shape.ts";
import { staysPacked } from "./product-memory.ts";

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
