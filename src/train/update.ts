// One optimizer update from scored rollouts: micro-batches through the policy, the objective's
// coefficients back, one step. It does not choose the rollouts and does not know the loop. Which
// micro-batches there are, also when memory runs out, is planned-batches.ts's. Shape letters: N
// targets of a micro-batch, R rollouts of the update.

import type { Policy } from "../../ffi/policy.ts";
import type { Trainer } from "../../ffi/trainer.ts";
import { UserError } from "../config/errors.ts";
import type { Rollout } from "../types.ts";
import { withPlannedBatches, type PlannedBatches } from "./planned-batches.ts";
import {
  addSums,
  emptySums,
  evaluateObjective,
  type ObjectiveOptions,
  type ObjectiveSums,
} from "./objective.ts";
import { budgetOf, type UpdateBudget } from "./plan/budget.ts";
import { tokenWeights, type Reduction } from "./reduction.ts";
import { countPolicyTokens } from "./rollout-figures.ts";
import { gatherTargets, type TrainBatch } from "./trie.ts";

/** A rollout and how much better it was than its group. */
export interface WeighedRollout {
  readonly rollout: Rollout;
  readonly advantage: number;
}

export interface UpdateOptions extends UpdateBudget {
  readonly temperature: number;
  readonly objective: ObjectiveOptions;
  readonly reduction: Reduction;
  readonly learningRate: number;
  readonly maxGradNorm: number;
  /** Refuses to step when the rollouts were sampled by this very policy and it disagrees. */
  readonly gapGate: { readonly mean: number; readonly max: number } | undefined;
}

export interface UpdateResult {
  readonly sums: ObjectiveSums;
  readonly gap: GapSums;
  readonly gradNorm: number;
  readonly rowTokens: number;
  readonly distinctTokens: number;
  readonly numBatches: number;
  readonly timesOut: number; // that memory ran out and the update started again
  readonly budget: UpdateBudget; // smaller than asked for where memory ran out
  readonly plannedBytes: number; // of tensors, at the peak
}

/** |sampler - trainer logprob| over targets. */
export interface GapSums {
  readonly sum: number;
  readonly max: number;
  readonly count: number;
}
export const noGap: GapSums = { sum: 0, max: 0, count: 0 };

export interface UpdatePolicies {
  readonly trainer: Trainer;
  /** The anchor of the KL term; absent where its coefficient is 0. */
  readonly reference: Policy | undefined;
}

/** Throws UserError when the gate is hit; the policy is then unchanged. */
export function update(
  policies: UpdatePolicies,
  weighed_R: readonly WeighedRollout[],
  options: UpdateOptions,
): UpdateResult {
  const { trainer } = policies;
  const totals = accumulateGradients(policies, weighed_R, options);
  try {
    if (options.gapGate !== undefined) requireSmallGap(totals.gap, options.gapGate);
  } catch (error) {
    trainer.zero();
    throw error;
  }
  const { learningRate, maxGradNorm } = options;
  return { ...totals, ...trainer.step({ learningRate, maxGradNorm }) };
}

type Totals = Omit<UpdateResult, "gradNorm">;
type BatchTotals = Pick<UpdateResult, "sums" | "gap" | "rowTokens" | "distinctTokens">;

function accumulateGradients(
  policies: UpdatePolicies,
  weighed_R: readonly WeighedRollout[],
  options: UpdateOptions,
): Totals {
  const rollouts = weighed_R.map(({ rollout }) => rollout);
  return withPlannedBatches(policies.trainer, rollouts, budgetOf(options), (planned) =>
    accumulateOnce(policies, weighed_R, options, planned),
  );
}

function accumulateOnce(
  policies: UpdatePolicies,
  weighed_R: readonly WeighedRollout[],
  options: UpdateOptions,
  { batches, ...planned }: PlannedBatches,
): Totals {
  const rollouts = weighed_R.map(({ rollout }) => rollout);
  const inputs = {
    samplerLogprobs: rollouts.map(({ samplerLogprobs_L }) => samplerLogprobs_L),
    advantages_R: weighed_R.map(({ advantage }) => advantage),
    weights_R: tokenWeights(
      options.reduction,
      rollouts.map(countPolicyTokens),
      rollouts.map(({ groupId }) => groupId),
    ),
  };
  let totals: Totals = { ...nothing, numBatches: batches.length, ...planned };
  for (const batch of batches) totals = added(totals, microBatch(policies, batch, inputs, options));
  return totals;
}

interface UpdateInputs {
  readonly samplerLogprobs: readonly Float32Array[];
  readonly advantages_R: readonly number[];
  readonly weights_R: Float64Array;
}

/** Forward, objective, backward of one micro-batch. */
function microBatch(
  { trainer, reference }: UpdatePolicies,
  batch: TrainBatch,
  { samplerLogprobs, advantages_R, weights_R }: UpdateInputs,
  { temperature, objective }: UpdateOptions,
): BatchTotals {
  const referenceLogprobs_N = reference?.logprobs(batch, temperature).logprobs_N;
  const { sources_N, rowTokens, distinctTokens, recomputed: recompute } = batch;
  const { logprobs_N, entropies_N } = trainer.logprobs(batch, { temperature, recompute });
  const samplerLogprobs_N = gatherTargets(batch, samplerLogprobs);
  const result = evaluateObjective(
    {
      policyLogprobs_N: logprobs_N,
      samplerLogprobs_N,
      referenceLogprobs_N,
      entropies_N,
      sources_N,
      advantages_R,
      weights_R,
    },
    objective,
  );
  trainer.backward(result.dLogprobs_N, result.dEntropies_N);
  const gap = measureGap(logprobs_N, samplerLogprobs_N);
  return { sums: result.sums, gap, rowTokens, distinctTokens };
}

const nothing = { sums: emptySums, gap: noGap, rowTokens: 0, distinctTokens: 0 };

function added(a: Totals, b: BatchTotals): Totals {
  return {
    ...a,
    sums: addSums(a.sums, b.sums),
    gap: addGaps(a.gap, b.gap),
    rowTokens: a.rowTokens + b.rowTokens,
    distinctTokens: a.distinctTokens + b.distinctTokens,
  };
}

function addGaps(a: GapSums, b: GapSums): GapSums {
  return { sum: a.sum + b.sum, max: Math.max(a.max, b.max), count: a.count + b.count };
}

function measureGap(a_N: Float64Array, b_N: Float64Array): GapSums {
  let [sum, max] = [0, 0];
  for (let n = 0; n < a_N.length; n++) {
    const difference = Math.abs(a_N[n]! - b_N[n]!);
    sum += difference;
    max = Math.max(max, difference);
  }
  return { sum, max, count: a_N.length };
}

/** Written so that a NaN is refused too. */
function requireSmallGap({ sum, max, count }: GapSums, gate: { mean: number; max: number }): void {
  const mean = count === 0 ? 0 : sum / count;
  if (mean <= gate.mean && max <= gate.max) return;
  const found = `mean ${mean.toExponential(1)}, max ${max.toExponential(1)}`;
  const allowed = `mean ${gate.mean}, max ${gate.max}`;
  const what = `sampler and trainer disagree about the logprobs of what was sampled: ${found}`;
  const hint = `train.logprob_gate allows ${allowed}; the policy was not changed by this step`;
  throw new UserError(what, { hint });
}
