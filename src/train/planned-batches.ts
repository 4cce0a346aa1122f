// The micro-batches of an update under its memory budget, and what happens when memory runs out all
// the same: the update starts again with micro-batches of at most three quarters of the bytes, and
// the same gradients. Not for memory that other things take.

import { OutOfMemoryError } from "../../ffi/errors.ts";
import type { Trainer } from "../../ffi/trainer.ts";
import { UserError } from "../config/errors.ts";
import type { TrainRollout } from "./branches.ts";
import { batchLimits, liveBytes, type UpdateBudget } from "./plan/budget.ts";
import { batchBytes } from "./plan/batch-memory.ts";
import type { EngineShape } from "./plan/engine-shape.ts";
import { batchPlanner, engineShape } from "./plan/planner.ts";
import { countPolicyTokens } from "./rollout-figures.ts";
import { buildBatches, type TrainBatch } from "./trie.ts";

export interface PlannedBatches {
  readonly batches: readonly TrainBatch[];
  /** The budget that was kept: smaller than asked for where memory ran out. */
  readonly budget: UpdateBudget;
  /** How often memory ran out before. */
  readonly timesOut: number;
  /** Tensors at the peak of the largest micro-batch, all that lives included. */
  readonly plannedBytes: number;
}

const SHRUNK = 0.75;

/** `accumulate` adds up the gradients of an update and may be called again, from the start. */
export function withPlannedBatches<T>(
  trainer: Trainer,
  rollouts: readonly TrainRollout[],
  budget: UpdateBudget,
  accumulate: (planned: PlannedBatches) => T,
): T {
  const live = liveBytes(trainer.policy.device);
  let planned = planBatches(trainer, rollouts, budget, live);
  for (let timesOut = 0; ; timesOut++) {
    try {
      return accumulate({ ...planned, timesOut });
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      trainer.zero();
      const memoryBytes = live + Math.floor(SHRUNK * (planned.plannedBytes - live));
      planned = planOrThrow(trainer, rollouts, { ...budget, memoryBytes }, live, error);
    }
  }
}

function planBatches(
  { policy, config }: Trainer,
  rollouts: readonly TrainRollout[],
  budget: UpdateBudget,
  live: number,
): Omit<PlannedBatches, "timesOut"> {
  const shape = engineShape(policy, config.lora);
  const targets = rollouts.reduce((sum, rollout) => sum + countPolicyTokens(rollout), 0);
  const planner = batchPlanner(shape, batchLimits(budget, live), targets);
  const batches = buildBatches(rollouts, { planner });
  const largest = Math.max(0, ...batches.map((batch) => plannedBatchBytes(shape, batch)));
  return { batches, budget, plannedBytes: live + largest };
}

/** Where no smaller micro-batches can be made, memory has run out for good. */
function planOrThrow(
  trainer: Trainer,
  rollouts: readonly TrainRollout[],
  budget: UpdateBudget,
  live: number,
  cause: OutOfMemoryError,
): Omit<PlannedBatches, "timesOut"> {
  try {
    return planBatches(trainer, rollouts, budget, live);
  } catch (error) {
    throw error instanceof UserError ? cause : error;
  }
}

function plannedBatchBytes(shape: EngineShape, batch: TrainBatch): number {
  const { distinctTokens: tokens, targetRows_N, recomputed } = batch;
  return batchBytes(shape, { tokens, targets: targetRows_N.length, recomputed });
}
