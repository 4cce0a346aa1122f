// One update as a run takes it, timed, with what its micro-batches did and its memory against the
// plan. Not here: figures.

import { resetPeak } from "../../ffi/native.ts";
import type { Policy } from "../../ffi/policy.ts";
import type { Trainer } from "../../ffi/trainer.ts";
import type { Rollout } from "../../src/types.ts";
import { peakBytes } from "../../src/train/plan/budget.ts";
import { deviceMemory } from "../../src/train/plan/machine.ts";
import { buildBatches } from "../../src/train/trie.ts";
import { update, type UpdateResult } from "../../src/train/update.ts";
import { type Figure, valueAtMost } from "../figure.ts";
import { updateFlops } from "../flops.ts";
import { weigh } from "./rollouts.ts";

export interface UpdateTiming extends UpdateResult {
  readonly seconds: number;
  readonly peakBytes: number; // of tensors on the device
}

export interface UpdateRequest {
  readonly trainer: Trainer;
  readonly reference?: Policy | undefined;
  readonly rollouts: readonly Rollout[];
}

/** As in the recipes. */
const MAX_BATCH_TOKENS = 32768;
const MEMORY_SHARE = 0.9;

export function timeUpdate({ trainer, reference, rollouts }: UpdateRequest): UpdateTiming {
  const { device } = trainer.policy;
  resetPeak();
  const start = performance.now();
  const result = update({ trainer, reference }, weigh(rollouts), {
    temperature: 1,
    objective: {
      clipLow: 0.2,
      clipHigh: 0.2,
      clipDual: undefined,
      kl: { kind: "k3", coefficient: reference === undefined ? 0 : 0.001 },
      entropy: 0,
    },
    reduction: { kind: "token_mean" },
    recompute: "auto",
    maxBatchTokens: MAX_BATCH_TOKENS,
    memoryBytes: Math.floor(MEMORY_SHARE * deviceMemory(device).totalBytes),
    learningRate: 1e-6,
    maxGradNorm: 1,
    gapGate: undefined,
  });
  const seconds = (performance.now() - start) / 1000;
  return { ...result, seconds, peakBytes: peakBytes(device) };
}

/** FLOPs that any implementation of the update has to do: every distinct token once. */
export function usefulFlops({ policy }: Trainer, rollouts: readonly Rollout[]): number {
  return updateFlops(policy.config, buildBatches(rollouts, { maxTokens: 2 ** 40 })).useful;
}

/** How far the peak of tensors was from what the plan said before. */
export function memoryFigure(key: string, timing: UpdateTiming): Figure {
  const [peak, planned] = [timing.peakBytes, timing.plannedBytes];
  const [used, said] = [peak, planned].map((bytes) => `${(bytes / 2 ** 30).toPrecision(4)} GiB`);
  const split = timing.timesOut > 0 ? `; memory ran out ${timing.timesOut} times` : "";
  return {
    key: `${key}.memory`,
    what: "of it, peak of tensors: how far from the plan",
    value: Math.abs(peak / planned - 1),
    unit: "%",
    wanted: valueAtMost(0.05),
    note: `${used}, planned ${said}; ${timing.numBatches} micro-batches${split}`,
  };
}
