// The recipe's words for the update, as the options of the pure functions that compute it.

import type { Recipe } from "../config/recipe.ts";
import type { KeptState, TrainerConfig } from "../../ffi/trainer.ts";
import type { AdvantageOptions } from "./advantage.ts";
import type { ObjectiveOptions } from "./objective.ts";
import type { Reduction } from "./reduction.ts";
import type { Schedule } from "./schedule.ts";

export function objectiveOptions({ objective }: Recipe["train"]): ObjectiveOptions {
  return {
    clipLow: objective.clip_low,
    clipHigh: objective.clip_high,
    clipDual: objective.clip_dual,
    kl: objective.kl,
    entropy: objective.entropy,
  };
}

export function reductionOf({ train, rollout }: Recipe): Reduction {
  const kind = train.objective.reduction;
  if (kind !== "sequence_sum_over_max") return { kind };
  return { kind, maxTokens: rollout.max_new_tokens };
}

export function advantageOptions({ advantage }: Recipe["train"]): AdvantageOptions {
  if (advantage.std === "none") return { std: "none" };
  return { std: advantage.std, eps: advantage.eps };
}

/**
 * `stage`: an index; adapters that begin at different stages do not begin alike, nor does the
 * rounding of an optimizer that begins anew there.
 */
export function trainerConfig({ train, carry, seed }: Recipe, stage = 0): TrainerConfig {
  const { betas, eps, weight_decay, lora } = train;
  const adamw = { beta1: betas[0], beta2: betas[1], eps, weightDecay: weight_decay };
  const isCarried = carry.optimizer && lora === undefined;
  const stageSeed = (seed + (isCarried ? 0 : stage * STAGE_SEEDS)) >>> 0;
  const all = { ...adamw, ...keptState(train), seed: stageSeed };
  return lora === undefined ? all : { ...all, lora };
}

/** What the optimizer keeps between steps, and where. */
export function keptState({ optimizer, master_weights }: Recipe["train"]): KeptState {
  const { state_bits: stateBits, offload } = optimizer;
  return { stateBits, masterWeights: master_weights, offload };
}

const STAGE_SEEDS = 0x9e37_79b9; // far apart for neighbouring seeds

/** The learning rate's factor within a stage; steps that a gate adds stay at its end. */
export function scheduleOf(recipe: Recipe, stageIndex: number): Schedule {
  const { steps, decay } = recipe.stages[stageIndex]!;
  return {
    decay: decay?.kind ?? "constant",
    decayTo: decay?.to ?? 1,
    totalSteps: steps,
    warmupSteps: stageIndex > 0 && recipe.carry.warmup ? 0 : warmupSteps(recipe, steps),
  };
}

function warmupSteps({ train }: Recipe, steps: number): number {
  const { steps: fixed, share } = train.warmup;
  return fixed ?? Math.round((share ?? 0) * steps);
}
