// A whole GRPO step and the gradients of one, timed by phase. The step is what the training loop
// does: every rollout sampled, then one update by train/update.ts. Not here: which shapes.

import type { Trainer } from "../ffi/trainer.ts";
import type { Rollout } from "../src/types.ts";
import { update, type WeighedRollout } from "../src/train/update.ts";
import { buildBatches, type TrainBatch } from "../src/train/trie.ts";
import type { StepShape } from "./shapes.ts";
import { timed } from "./timing.ts";
import { type Prompt, sampleAll, type Worker } from "./work.ts";

/** Rows of a micro-batch: nano's recipe and the default of the others. */
export const MAX_BATCH_TOKENS = 16384;

export interface StepTiming {
  readonly ms: number;
  readonly generateMs: number;
  readonly prefillMs: number; // of generateMs
  readonly updateMs: number;
  readonly rollouts: readonly Rollout[];
}

export async function timeStep(
  worker: Worker,
  prompts: readonly Prompt[],
  shape: StepShape,
  seed: number,
): Promise<StepTiming> {
  const generated = await timeGenerate(worker, prompts, shape, seed);
  const { rollouts } = generated;
  const weighed = rollouts.map((rollout, i): WeighedRollout => {
    return { rollout, advantage: i % 2 === 0 ? 1 : -1 };
  });
  const policies = { trainer: worker.trainer, reference: undefined };
  const { ms: updateMs } = await timed(() => update(policies, weighed, UPDATE));
  return { ...generated, ms: generated.generateMs + updateMs, updateMs };
}

export async function timeGenerate(
  { engine }: Worker,
  prompts: readonly Prompt[],
  shape: StepShape,
  seed: number,
): Promise<Omit<StepTiming, "ms" | "updateMs">> {
  const before = engine.counters();
  const { ms, result } = await timed(() => sampleAll(engine, prompts, shape, seed));
  const prefillMs = engine.counters().prefillMs - before.prefillMs;
  return { generateMs: ms, prefillMs, rollouts: result };
}

const UPDATE = {
  temperature: 1,
  objective: { clipLow: 0.2, clipHigh: 0.2, kl: { kind: "k3", coefficient: 0 }, entropy: 0 },
  reduction: { kind: "token_mean" },
  recompute: "nothing",
  maxBatchTokens: MAX_BATCH_TOKENS,
  learningRate: 1e-6,
  maxGradNorm: 1,
  gapGate: { mean: 1e-3, max: 1e-1 },
} as const;

export interface GradientTiming {
  readonly ms: number; // packing, forward and backward
  readonly packMs: number;
  readonly forwardMs: number;
  readonly backwardMs: number;
  readonly batches: readonly TrainBatch[];
}

/** Packs and computes the gradients of all sampled tokens' logprobs. No optimizer. */
export function timeGradients(
  trainer: Trainer,
  rollouts: readonly Rollout[],
  { share }: { readonly share: boolean },
): GradientTiming {
  const start = performance.now();
  const batches = buildBatches(rollouts, { maxTokens: MAX_BATCH_TOKENS, share });
  const packMs = performance.now() - start;
  let [forwardMs, backwardMs] = [0, 0];
  for (const batch of batches) {
    const before = performance.now();
    trainer.logprobs(batch, { temperature: 1, recompute: "nothing" });
    const between = performance.now();
    trainer.backward(new Float64Array(batch.targetRows_N.length).fill(1e-4));
    forwardMs += between - before;
    backwardMs += performance.now() - between;
  }
  trainer.zero();
  return { ms: packMs + forwardMs + backwardMs, packMs, forwardMs, backwardMs, batches };
}

export const rowsOf = (batches: readonly TrainBatch[]): number => sum(batches, "rowTokens");
export const distinctOf = (batches: readonly TrainBatch[]): number =>
  sum(batches, "distinctTokens");

const sum = (batches: readonly TrainBatch[], key: "rowTokens" | "distinctTokens"): number =>
  batches.reduce((total, batch) => total + batch[key], 0);
