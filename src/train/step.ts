// One GRPO step: tasks, rollouts with rewards, group advantages, updates. It changes the policy and
// the optimizer and returns what happened; where the run stands and what comes next is the loop's.

import { counters, resetPeak } from "../../ffi/native.ts";
import type { Recipe } from "../config/recipe.ts";
import type { Progress } from "../curriculum/progress.ts";
import { stageName } from "../curriculum/stages.ts";
import type { RolloutMetrics } from "../rollout/batch.ts";
import type { PromptTemplate } from "../rollout/template.ts";
import type { StepMetrics, Throughput } from "../run/metrics.ts";
import type { TrainedSample } from "../run/store.ts";
import type { Task } from "../types.ts";
import { splitIntoUpdates, weighGroups, type WeighedGroup } from "./groups.ts";
import {
  advantageOptions,
  objectiveOptions,
  reductionOf,
  scheduleOf,
} from "./objective-options.ts";
import { addSums, emptySums, summariseSums } from "./objective.ts";
import { liveBytes, peakBytes, type UpdateBudget } from "./plan/budget.ts";
import { rolloutBytes } from "./plan/batch-memory.ts";
import { engineShape } from "./plan/planner.ts";
import { ratio, rolloutFigures } from "./rollout-figures.ts";
import { sampleGroups, type SampledGroups, type Sampler } from "./sampling.ts";
import { scheduleFactor } from "./schedule.ts";
import { noGap, update, type UpdatePolicies, type UpdateResult } from "./update.ts";

export interface StepInput {
  readonly recipe: Recipe;
  readonly sampler: Sampler;
  readonly policies: UpdatePolicies;
  readonly template: PromptTemplate;
  readonly tasks: readonly Task[];
  /** Before the step. */
  readonly progress: Progress;
  /** Less than the recipe's where memory ran out. */
  readonly budget: UpdateBudget;
  /** Sees the rollouts before they are trained on, and stops the step by throwing. */
  readonly inspect?: ((sampled: SampledGroups) => void) | undefined;
}

export interface StepOutcome {
  readonly metrics: StepMetrics;
  readonly trained: readonly TrainedSample[];
  readonly budget: UpdateBudget;
}

export async function takeStep(input: StepInput): Promise<StepOutcome> {
  const { recipe, sampler, template, tasks, progress } = input;
  const start = performance.now();
  const { toolbox } = sampler.settings;
  const mark = toolbox.mark();
  resetPeak();
  const sampled = await sampleGroups(sampler, {
    tasks,
    template,
    samplesPerTask: recipe.rollout.samples_per_prompt,
    label: `${progress.step + 1}`,
    firstStream: progress.step * recipe.rollout.prompts_per_step,
  });
  const tools = toolbox.figures(mark);
  input.inspect?.(sampled);
  const weighed = weighGroups(sampled.groups, advantageOptions(recipe.train));
  const updateStart = performance.now();
  const updates = runUpdates(input, weighed);
  const now = performance.now();
  const seconds = { update: (now - updateStart) / 1000, step: (now - start) / 1000 };
  return {
    metrics: stepMetrics(input, { ...sampled, tools }, weighed, updates, seconds),
    trained: weighed.flatMap(trainedSamples),
    budget: updates.at(-1)?.budget ?? input.budget,
  };
}

export function learningRateAt(recipe: Recipe, { stage, stageStep }: Progress): number {
  return recipe.train.learning_rate * scheduleFactor(scheduleOf(recipe, stage), stageStep);
}

function runUpdates(input: StepInput, weighed: readonly WeighedGroup[]): UpdateResult[] {
  const { recipe, policies, progress } = input;
  const { train, rollout } = recipe;
  const shared = {
    temperature: rollout.temperature,
    objective: objectiveOptions(train),
    reduction: reductionOf(recipe),
    learningRate: learningRateAt(recipe, progress),
    maxGradNorm: train.max_grad_norm,
  };
  const results: UpdateResult[] = [];
  for (const rollouts of splitIntoUpdates(weighed, train.updates_per_step)) {
    const budget = results.at(-1)?.budget ?? input.budget;
    const onPolicy = results.length === 0; // later updates see a policy that did not sample
    const gapGate = onPolicy ? train.logprob_gate : undefined;
    results.push(update(policies, rollouts, { ...shared, ...budget, gapGate }));
  }
  return results;
}

function stepMetrics(
  { recipe, progress, policies }: StepInput,
  { groups, metrics, tools }: SampledGroups & Pick<StepMetrics, "tools">,
  weighed: readonly WeighedGroup[],
  updates: readonly UpdateResult[],
  seconds: { readonly update: number; readonly step: number },
): StepMetrics {
  const samples = groups.flatMap((group) => group.samples);
  const { stage, stageStep, step } = progress;
  return {
    step: step + 1,
    stage: stageName(stage),
    stageStep: stageStep + 1,
    shots: recipe.stages[stage]!.shots,
    ...rolloutFigures(samples),
    tools,
    numRollouts: samples.length,
    numGroups: groups.length,
    zeroVarianceGroups: weighed.filter(({ zeroVariance }) => zeroVariance).length,
    learningRate: learningRateAt(recipe, progress),
    ...updateFigures(updates, seconds.update),
    ...rolloutThroughput(metrics),
    memory: memoryFigures(policies, samples.length, updates),
    seconds: seconds.step,
    native: counters(),
  };
}

/** The peak of tensors in this step, beside what its largest part was planned to take. */
function memoryFigures(
  { trainer }: UpdatePolicies,
  numRollouts: number,
  updates: readonly UpdateResult[],
): StepMetrics["memory"] {
  const { policy } = trainer;
  const logits = rolloutBytes(engineShape(policy), numRollouts, numRollouts);
  const sampling = liveBytes(policy.device) + logits;
  const plannedBytes = Math.max(sampling, ...updates.map((each) => each.plannedBytes));
  const numBatches = updates.reduce((sum, each) => sum + each.numBatches, 0);
  return { plannedBytes, usedBytes: peakBytes(policy.device), numBatches };
}

function updateFigures(updates: readonly UpdateResult[], seconds: number) {
  const sums = updates.reduce((total, { sums: each }) => addSums(total, each), emptySums);
  const { loss, kl, clipShare } = summariseSums(sums);
  const gap = updates[0]?.gap ?? noGap;
  const rowTokens = updates.reduce((total, each) => total + each.rowTokens, 0);
  const distinctTokens = updates.reduce((total, each) => total + each.distinctTokens, 0);
  return {
    loss: ratio(loss, updates.length),
    kl,
    clipShare,
    gradNorm: updates.at(-1)?.gradNorm ?? 0,
    updates: updates.length,
    logprobDifference: { mean: ratio(gap.sum, gap.count), max: gap.max },
    update: throughput(rowTokens, seconds),
    trieRatio: distinctTokens === 0 ? 1 : rowTokens / distinctTokens,
  };
}

function rolloutThroughput({
  prefillTokens,
  prefillMs,
  decodeTokens,
  decodeMs,
  meanBatch,
}: RolloutMetrics) {
  return {
    prefill: throughput(prefillTokens, prefillMs / 1000),
    decode: throughput(decodeTokens, decodeMs / 1000),
    decodeOccupancy: meanBatch,
  };
}

function throughput(tokens: number, seconds: number): Throughput {
  return { tokens, seconds, tokensPerSecond: ratio(tokens, seconds) };
}

function trainedSamples({ group, advantages_G }: WeighedGroup): TrainedSample[] {
  return group.samples.map((sample, index) => ({ sample, advantage: advantages_G[index]! }));
}
