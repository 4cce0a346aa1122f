// How the losses of single tokens become one number. Each reduction is linear in them, so it is a
// weight per rollout, known before the first micro-batch: micro-batches, and workers, then simply
// add up. Shape letters: R rollouts of the step.

export type Reduction =
  /** Every token of the step counts the same (DAPO). */
  | { readonly kind: "token_mean" }
  /** Every rollout counts the same: the mean of its tokens (GRPO). */
  | { readonly kind: "sequence_mean" }
  /** Every group counts the same: the mean of its tokens. */
  | { readonly kind: "group_mean" }
  /** The sum over a rollout's tokens, averaged over rollouts. */
  | { readonly kind: "sequence_sum" }
  /** The same over a constant, so that length does not change a token's weight (Dr. GRPO). */
  | { readonly kind: "sequence_sum_over_max"; readonly maxTokens: number };

/**
 * The weight of each token of a rollout. `numTokens_R` counts the trained tokens of every rollout
 * of the update, also of those in other micro-batches or on other workers; `groups_R` says which
 * group each belongs to.
 */
export function tokenWeights(
  reduction: Reduction,
  numTokens_R: ArrayLike<number>,
  groups_R: ArrayLike<number | string>,
): Float64Array {
  const rollouts = numTokens_R.length;
  const divisor = (rollout: number): number => numTokens_R[rollout]! * rollouts;
  switch (reduction.kind) {
    case "token_mean":
      return constantWeights(rollouts, 1 / sum(numTokens_R));
    case "sequence_mean":
      return Float64Array.from({ length: rollouts }, (_, rollout) => inverse(divisor(rollout)));
    case "group_mean":
      return groupWeights(numTokens_R, groups_R);
    case "sequence_sum":
      return constantWeights(rollouts, 1 / rollouts);
    case "sequence_sum_over_max":
      return constantWeights(rollouts, 1 / (rollouts * reduction.maxTokens));
  }
}

function groupWeights(
  numTokens_R: ArrayLike<number>,
  groups_R: ArrayLike<number | string>,
): Float64Array {
  const groupTokens = new Map<number | string, number>();
  for (let rollout = 0; rollout < numTokens_R.length; rollout++) {
    const group = groups_R[rollout]!;
    groupTokens.set(group, (groupTokens.get(group) ?? 0) + numTokens_R[rollout]!);
  }
  return Float64Array.from({ length: numTokens_R.length }, (_, rollout) =>
    inverse(groupTokens.get(groups_R[rollout]!)! * groupTokens.size),
  );
}

const constantWeights = (length: number, weight: number): Float64Array =>
  new Float64Array(length).fill(weight);
/** A rollout without trained tokens has no token to weigh. */
const inverse = (value: number): number => (value === 0 ? 0 : 1 / value);
const sum = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((total, value) => total + value, 0);
