// What fits in a micro-batch under a memory budget, and what it costs: a larger one computes more
// layers again in its backward, a smaller one repeats what it shares with others. The planner knows
// both, so the split (split.ts) weighs one against the other. Pure; bytes are memory.ts's.

import type { Device } from "../../../ffi/device.ts";
import type { Dtype, Policy, PolicyConfig } from "../../../ffi/policy.ts";
import { UserError } from "../../config/errors.ts";
import {
  BATCH_COST_TOKENS,
  tooManyTokens,
  type BatchLoad,
  type BatchPlanner,
} from "../split.ts";
import { bytesText } from "../../config/bytes.ts";
import { tokenFlops, trainingFlops } from "./cost.ts";
import { batchBytes, headPeak, headRowBytes, layersPeak } from "./batch-memory.ts";
import { type EngineShape, panelColumns } from "./engine-shape.ts";

/** `auto`: as few layers as the budget asks for. */
export type RecomputeChoice = "auto" | "nothing" | "layers";

export interface BatchLimits {
  readonly maxTokens: number;
  /** Bytes that a micro-batch may take beyond what lives before it. */
  readonly maxBytes: number;
  readonly recompute: RecomputeChoice;
}

/** `numTargets`: of the whole update. */
export function batchPlanner(
  shape: EngineShape,
  limits: BatchLimits,
  numTargets: number,
): BatchPlanner {
  const { layers } = shape.config;
  const flops = tokenFlops(shape.config);
  const choices = choicesOf(limits.recompute, layers);
  // Rows that fit with all targets, and with none: only between them is a load looked at closely.
  const surely = choices.map((recomputed) => mostRows(shape, limits, recomputed, numTargets));
  const atMost = choices.map((recomputed) => mostRows(shape, limits, recomputed, 0));
  const perRow = choices.map((recomputed) => headRowBytes(shape, recomputed));
  const layersFit = ({ tokens, targets }: BatchLoad, i: number): boolean =>
    tokens <= surely[i]! ||
    (tokens <= atMost[i]! && layersPeak(shape, tokens, targets, choices[i]!) <= limits.maxBytes);
  const recomputed = (load: BatchLoad): number | undefined => {
    const left = limits.maxBytes - headPeak(shape, load.targets);
    return choices.find((_, i) => load.tokens * perRow[i]! <= left && layersFit(load, i));
  };
  const perBatch = trainingFlops(flops, { tokens: BATCH_COST_TOKENS, keys: 0 }, 0);
  return {
    recomputed,
    cost: (load) => perBatch + trainingFlops(flops, load, (recomputed(load) ?? 0) / layers),
    refuse: (load) => refusal(shape, limits, load),
  };
}

function choicesOf(recompute: RecomputeChoice, layers: number): readonly number[] {
  if (recompute === "nothing") return [0];
  if (recompute === "layers") return [layers];
  return Array.from({ length: layers + 1 }, (_, recomputed) => recomputed);
}

/** That the layers can work on, by bisection: the bytes grow with the rows. */
function mostRows(
  shape: EngineShape,
  { maxTokens, maxBytes }: BatchLimits,
  recomputed: number,
  targets: number,
): number {
  let [fits, tooMany] = [0, maxTokens + 1];
  while (tooMany - fits > 1) {
    const tokens = (fits + tooMany) >> 1;
    if (layersPeak(shape, tokens, targets, recomputed) <= maxBytes) fits = tokens;
    else tooMany = tokens;
  }
  return fits;
}

function refusal(
  shape: EngineShape,
  { maxTokens, maxBytes, recompute }: BatchLimits,
  { tokens, targets }: BatchLoad,
): UserError {
  if (tokens > maxTokens) return tooManyTokens(tokens, maxTokens);
  const recomputed = recompute === "nothing" ? 0 : shape.config.layers;
  const needed = batchBytes(shape, { tokens, targets, recomputed });
  const what =
    `training on a rollout of ${tokens} tokens takes ${bytesText(needed)} ` +
    `and ${bytesText(Math.max(0, maxBytes))} are left for it`;
  const other = recompute === "nothing" ? "train.recompute: auto needs less; " : "";
  return new UserError(what, { hint: `${other}icrl plan says where the memory goes` });
}

/** `lora`: of the trainer. */
export const engineShape = (
  { config, dtype, device }: Policy,
  lora?: EngineShape["lora"],
): EngineShape => shapeOn(device, config, dtype, lora);

export function shapeOn(
  device: Device,
  config: PolicyConfig,
  dtype: Dtype,
  lora?: EngineShape["lora"],
): EngineShape {
  const { kind, threads, isa } = device.describe();
  return { config, dtype, device: kind, threads, panel: panelColumns(isa, dtype), lora };
}
