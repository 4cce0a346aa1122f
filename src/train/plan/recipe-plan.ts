// A recipe's memory and work on paper: what lives for the whole run, and each stage's step, under a
// budget. Pure; how prompts are counted and what the machine has comes from outside.

import { bytesText } from "../../config/bytes.ts";
import { UserError } from "../../config/errors.ts";
import { pageTokensOf, type Recipe } from "../../config/recipe.ts";
import { stageName } from "../../curriculum/stages.ts";
import { type EngineShape, numParameters } from "./engine-shape.ts";
import {
  isOnHost,
  optimizerBytes,
  type ResidentBytes,
  residentBytes,
  sumBytes,
} from "./resident-memory.ts";
import { keptState } from "../objective-options.ts";
import { planStage, type StageOptions, type StagePlan } from "./stage-plan.ts";
import type { ResponseShape, StepPrompts } from "./step-shape.ts";

export interface PlanRequest {
  readonly recipe: Recipe;
  readonly shape: EngineShape;
  /** Of the engine's tensors. */
  readonly budgetBytes: number;
  readonly response: ResponseShape;
  /** Of the stages planned: those of the recipe, or one of a shape that was given. */
  readonly stages: readonly PlannedStage[];
}
export interface PlannedStage {
  readonly name: string;
  readonly shots: number | undefined;
  readonly prompts: StepPrompts;
}

export interface RecipePlan {
  readonly recipe: string;
  readonly model: string;
  readonly parameters: number;
  readonly dtype: string;
  readonly device: string;
  readonly budgetBytes: number;
  readonly resident: ResidentBytes;
  readonly residentBytes: number;
  readonly response: ResponseShape;
  readonly stages: readonly (Pick<PlannedStage, "name" | "shots"> & StagePlan)[];
  /** Of tensors, in the stage that takes most. */
  readonly peakBytes: number;
  /** On the host, not among the tensors: an offloaded optimizer, and in the stage that has most the rollouts' arrays. */
  readonly hostBytes: number;
}

/** Throws UserError with numbers where it cannot fit. */
export function planRecipe({
  recipe,
  shape,
  budgetBytes,
  response,
  stages,
}: PlanRequest): RecipePlan {
  const resident = residentOf(recipe, shape);
  requireRoom(resident, budgetBytes);
  const live = sumBytes(resident);
  const options = (prompts: StepPrompts): StageOptions =>
    stageOptions(recipe, prompts, budgetBytes - live);
  const { samples_per_prompt: samples, context } = recipe.rollout;
  const planned = stages.map(({ name, shots, prompts }) => ({
    name,
    shots,
    ...planStage(shape, { prompts, samples, response, context }, options(prompts)),
  }));
  const largest = Math.max(...planned.map(({ bytes }) => Math.max(bytes.update, bytes.rollouts)));
  requireFit(live, largest, budgetBytes);
  return {
    recipe: recipe.name,
    model: recipe.policy.model,
    parameters: numParameters(shape.config),
    dtype: shape.dtype,
    device: shape.device,
    budgetBytes,
    resident,
    residentBytes: live,
    response,
    stages: planned,
    peakBytes: live + largest,
    hostBytes: offloadedBytes(recipe, shape) + Math.max(...planned.map(hostBytes)),
  };
}

/** Throws UserError where adapters would be no smaller than what they adapt. */
export function residentOf({ policy, rollout, train }: Recipe, shape: EngineShape): ResidentBytes {
  requireLowRank(shape);
  return residentBytes(shape, {
    cacheTokens: Math.ceil(policy.cache_tokens / pageTokensOf(policy)) * pageTokensOf(policy),
    hasReference: train.objective.kl.coefficient > 0,
    maxPosition: rollout.context,
    kept: keptState(train),
  });
}

function requireLowRank({ lora, config: { hidden } }: EngineShape): void {
  if (lora === undefined || lora.rank < hidden) return;
  const what = `train.lora.rank ${lora.rank} is not low: the model's hidden size is ${hidden}`;
  throw new UserError(what, { hint: "a smaller one, or no train.lora, which trains all weights" });
}

/** Throws UserError where what lives for the whole run leaves nothing. */
export function requireRoom(resident: ResidentBytes, budgetBytes: number): void {
  const live = sumBytes(resident);
  if (live < budgetBytes) return;
  const parts = Object.entries(resident).filter(([, bytes]) => bytes >= live / 100);
  const list = parts.map(([what, bytes]) => `${what} ${bytesText(bytes)}`).join(", ");
  const what =
    `${bytesText(live)} are needed before any rollout (${list}), ` +
    `${bytesText(budgetBytes)} are there`;
  throw new UserError(what, { hint: "a smaller model, or a smaller policy.cache_tokens" });
}

function requireFit(live: number, largest: number, budgetBytes: number): void {
  if (live + largest <= budgetBytes) return;
  const what =
    `sampling takes ${bytesText(largest)} beside ${bytesText(live)} that live for the whole run, ` +
    `${bytesText(budgetBytes)} are there`;
  throw new UserError(what, { hint: "fewer rollouts at once: a smaller policy.cache_tokens" });
}

/** The rollout engine's own limit on new prompt and observation tokens of a step. */
const MAX_PREFILL = 8192;

function stageOptions(
  { policy, rollout, tool, train }: Recipe,
  { shared, own_P }: StepPrompts,
  maxBytes: number,
): StageOptions {
  const observation = Math.max(...Object.values(tool).map((each) => each.max_observation_tokens));
  const room = Math.max(1, rollout.context - shared - Math.min(...own_P));
  const reserved = Math.min(room, rollout.max_new_tokens + rollout.max_calls * observation);
  const { max_batch_tokens: maxTokens, recompute, updates_per_step: updates } = train;
  return {
    limits: { maxTokens, maxBytes, recompute },
    updates,
    hasReference: train.objective.kl.coefficient > 0,
    maxPrefill: MAX_PREFILL,
    maxInFlight: Math.max(1, Math.floor(policy.cache_tokens / reserved)),
  };
}

/** Id, role, logprob, entropy and version of a token; what the objective reads of a target. */
const HOST_BYTES = { token: 17, target: 56 };

function offloadedBytes({ train }: Recipe, shape: EngineShape): number {
  const kept = keptState(train);
  return isOnHost(shape, kept) ? optimizerBytes(shape, kept) : 0;
}

function hostBytes({ rowTokens, rollouts }: StagePlan): number {
  return (HOST_BYTES.token + HOST_BYTES.target) * (rowTokens + rollouts);
}

/** The longest responses that a recipe allows. */
export function longestResponse({ rollout, tool }: Recipe): ResponseShape {
  const observation = Math.max(...Object.values(tool).map((each) => each.max_observation_tokens));
  return { sampled: rollout.max_new_tokens, turns: rollout.max_calls + 1, observation };
}

export const stagesOf = (
  { stages }: Recipe,
  prompts: (stageIndex: number) => StepPrompts,
): PlannedStage[] =>
  stages.map(({ shots }, index) => ({ name: stageName(index), shots, prompts: prompts(index) }));
