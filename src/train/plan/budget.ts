// The memory that an update may use, from what the recipe or else the machine says, and what is
// left of it for a micro-batch while everything that lives is there.

import type { Device } from "../../../ffi/device.ts";
import { counters, type Counters } from "../../../ffi/native.ts";
import { parseBytes } from "../../config/bytes.ts";
import type { Recipe } from "../../config/recipe.ts";
import { deviceMemory } from "./machine.ts";
import type { BatchLimits, RecomputeChoice } from "./planner.ts";

export interface UpdateBudget {
  /** Distinct tokens of a micro-batch. */
  readonly maxBatchTokens: number;
  /** Of all of the engine's tensors together; absent: as many as there are. */
  readonly memoryBytes?: number;
  readonly recompute: RecomputeChoice;
}

/** Of a machine's memory; the rest is for the process's other memory. */
const TENSOR_SHARE = 0.9;

/** The same at every start on one machine, so that a run which goes on is split as before. */
export function updateBudget({ train }: Pick<Recipe, "train">, device: Device): UpdateBudget {
  const { max_batch_tokens: maxBatchTokens, recompute } = train;
  const total = (): number => deviceMemory(device).totalBytes;
  return { maxBatchTokens, memoryBytes: tensorBytes(train, total), recompute };
}

/** What the recipe says, or its share of all that a machine or a card has. */
export function tensorBytes(
  { memory }: Pick<Recipe["train"], "memory">,
  totalBytes: () => number,
): number {
  if (memory !== undefined) return parseBytes(memory, "train.memory");
  return Math.floor(TENSOR_SHARE * totalBytes());
}

/** The budget alone, of options that hold more. */
export function budgetOf({ maxBatchTokens, memoryBytes, recompute }: UpdateBudget): UpdateBudget {
  return { maxBatchTokens, recompute, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
}

export function batchLimits(budget: UpdateBudget, liveBytes: number): BatchLimits {
  const { maxBatchTokens: maxTokens, memoryBytes = Infinity, recompute } = budget;
  return { maxTokens, recompute, maxBytes: memoryBytes - liveBytes };
}

export const liveBytes = ({ kind }: Device, now: Counters = counters()): number =>
  kind === "cpu" ? now.cpuBytes : now.deviceBytes;

export const peakBytes = ({ kind }: Device, now: Counters = counters()): number =>
  kind === "cpu" ? now.cpuPeakBytes : now.devicePeakBytes;
