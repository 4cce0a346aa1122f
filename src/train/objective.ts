// The objective of an update as a pure function on flat arrays: the loss of a micro-batch and its
// exact derivative for each token's logprob (and entropy), which the engine backpropagates. loss =
// sum over tokens of weight * (policy term + kl.coefficient * KL to the reference - entropy
// coefficient * entropy). Formulas: PPO's clipped surrogate (arXiv 1707.06347) with separate bounds
// (DAPO, 2503.14476) and an optional dual clip (1912.09729); KL estimators k1, k2, k3 (Schulman,
// "Approximating KL divergence"), differentiated as they stand. A further objective (CISPO, GSPO,
// ...) is one more function of type PolicyTerm. Not here: advantages (advantage.ts), weights
// (reduction.ts). Shape letters: N trained tokens of the micro-batch, R rollouts of the update.

export interface ObjectiveInput {
  readonly policyLogprobs_N: ArrayLike<number>;
  /** Under the policy that sampled; constants. */
  readonly samplerLogprobs_N: ArrayLike<number>;
  readonly referenceLogprobs_N?: ArrayLike<number> | undefined;
  readonly entropies_N?: ArrayLike<number> | undefined;
  /** The rollout of each token. */
  readonly sources_N: ArrayLike<number>;
  readonly advantages_R: ArrayLike<number>;
  /** From tokenWeights: the weight of each token of a rollout. */
  readonly weights_R: ArrayLike<number>;
}

export type KlKind = "k1" | "k2" | "k3";

export interface ObjectiveOptions {
  readonly clipLow: number; // the ratio is held above 1 - clipLow
  readonly clipHigh: number; // and below 1 + clipHigh
  readonly clipDual?: number | undefined; // > 1: bounds the ratio where the advantage is negative
  readonly kl: { readonly kind: KlKind; readonly coefficient: number };
  readonly entropy: number; // coefficient of the bonus
}

/** Sums over tokens, so that micro-batches add up; maxima take the larger. */
export interface ObjectiveSums {
  readonly loss: number;
  readonly numTokens: number;
  readonly numClippedLow: number;
  readonly numClippedHigh: number;
  readonly kl: number; // 0 without a reference
  readonly entropy: number; // 0 without entropies
  readonly ratio: number;
  readonly ratioMax: number;
}

export interface ObjectiveResult {
  readonly loss: number;
  readonly dLogprobs_N: Float64Array;
  readonly dEntropies_N: Float64Array | undefined; // absent without an entropy bonus
  readonly sums: ObjectiveSums;
}

/** What a token's loss is before its weight, and the loss's derivative by that token's logprob. */
export interface TermResult {
  readonly losses_N: Float64Array;
  readonly slopes_N: Float64Array;
  readonly numClippedLow: number;
  readonly numClippedHigh: number;
}
export type PolicyTerm = (input: ObjectiveInput, options: ObjectiveOptions) => TermResult;

export function evaluateObjective(
  input: ObjectiveInput,
  options: ObjectiveOptions,
  policyTerm: PolicyTerm = clippedTerm,
): ObjectiveResult {
  const term = policyTerm(input, options);
  const kl = klTerm(input, options.kl);
  const weights_N = Float64Array.from(input.sources_N, (source) => input.weights_R[source]!);
  const dLogprobs_N = weights_N.map(
    (weight, n) => weight * (term.slopes_N[n]! + options.kl.coefficient * kl.slopes_N[n]!),
  );
  const bonus = entropyBonus(input, options.entropy, weights_N);
  let loss = -bonus.value;
  for (let n = 0; n < weights_N.length; n++) {
    loss += weights_N[n]! * (term.losses_N[n]! + options.kl.coefficient * kl.losses_N[n]!);
  }
  assertFinite(loss, input);
  const sums = { ...measure(input), loss, kl: sum(kl.losses_N), ...clippedCounts(term) };
  return { loss, dLogprobs_N, dEntropies_N: bonus.dEntropies_N, sums };
}

/** PPO's surrogate, token by token. On a bound itself nothing is clipped. */
export const clippedTerm: PolicyTerm = (input, options) => {
  const losses_N = new Float64Array(input.sources_N.length);
  const slopes_N = new Float64Array(losses_N.length);
  let numClippedLow = 0;
  let numClippedHigh = 0;
  for (let n = 0; n < losses_N.length; n++) {
    const ratio = Math.exp(input.policyLogprobs_N[n]! - input.samplerLogprobs_N[n]!);
    const advantage = input.advantages_R[input.sources_N[n]!]!;
    const bounded = clipRatio(ratio, advantage, options);
    losses_N[n] = -bounded * advantage;
    slopes_N[n] = bounded === ratio ? -ratio * advantage : 0;
    if (bounded > ratio) numClippedLow++;
    if (bounded < ratio) numClippedHigh++;
  }
  return { losses_N, slopes_N, numClippedLow, numClippedHigh };
};

/**
 * The ratio that min(ratio * A, clip(ratio) * A) picks: clipping only ever takes an incentive away.
 */
function clipRatio(ratio: number, advantage: number, options: ObjectiveOptions): number {
  if (advantage > 0) return Math.min(ratio, 1 + options.clipHigh);
  if (advantage === 0) return ratio;
  return Math.min(Math.max(ratio, 1 - options.clipLow), options.clipDual ?? Infinity);
}

interface TokenTerm {
  readonly losses_N: Float64Array;
  readonly slopes_N: Float64Array;
}

/** The chosen estimate of KL(policy || reference) at each token; zeros without a reference. */
function klTerm(input: ObjectiveInput, kl: ObjectiveOptions["kl"]): TokenTerm {
  const losses_N = new Float64Array(input.sources_N.length);
  const slopes_N = new Float64Array(losses_N.length);
  const reference_N = input.referenceLogprobs_N;
  if (reference_N === undefined) {
    if (kl.coefficient !== 0) throw new Error("a KL coefficient needs reference logprobs");
    return { losses_N, slopes_N };
  }
  const estimate = klEstimates[kl.kind];
  for (let n = 0; n < losses_N.length; n++) {
    const { value, slope } = estimate(input.policyLogprobs_N[n]! - reference_N[n]!);
    losses_N[n] = value;
    slopes_N[n] = slope;
  }
  return { losses_N, slopes_N };
}

interface Estimate {
  readonly value: number;
  readonly slope: number; // by the policy's logprob
}

/** Of d = policy logprob - reference logprob. */
const klEstimates: Readonly<Record<KlKind, (d: number) => Estimate>> = {
  k1: (d) => ({ value: d, slope: 1 }),
  k2: (d) => ({ value: (d * d) / 2, slope: d }),
  k3: (d) => ({ value: Math.expm1(-d) + d, slope: -Math.expm1(-d) }),
};

function entropyBonus(
  input: ObjectiveInput,
  coefficient: number,
  weights_N: Float64Array,
): { readonly value: number; readonly dEntropies_N: Float64Array | undefined } {
  if (coefficient === 0) return { value: 0, dEntropies_N: undefined };
  const entropies_N = input.entropies_N;
  if (entropies_N === undefined) throw new Error("an entropy bonus needs entropies");
  const value = weights_N.reduce((total, weight, n) => total + weight * entropies_N[n]!, 0);
  return {
    value: coefficient * value,
    dEntropies_N: weights_N.map((weight) => -coefficient * weight),
  };
}

function measure(input: ObjectiveInput) {
  const ratios_N = Float64Array.from(input.sources_N, (_, n) =>
    Math.exp(input.policyLogprobs_N[n]! - input.samplerLogprobs_N[n]!),
  );
  return {
    numTokens: ratios_N.length,
    entropy: sum(input.entropies_N ?? []),
    ratio: sum(ratios_N),
    ratioMax: ratios_N.reduce((largest, ratio) => Math.max(largest, ratio), 0),
  };
}

function clippedCounts({ numClippedLow, numClippedHigh }: TermResult) {
  return { numClippedLow, numClippedHigh };
}

function assertFinite(loss: number, input: ObjectiveInput): void {
  if (Number.isFinite(loss)) return;
  const n = Array.from(input.policyLogprobs_N).findIndex((logprob) => !Number.isFinite(logprob));
  throw new Error(`the loss is ${loss}; first token whose logprob is not finite: ${n}`);
}

export const emptySums: ObjectiveSums = {
  loss: 0,
  numTokens: 0,
  numClippedLow: 0,
  numClippedHigh: 0,
  kl: 0,
  entropy: 0,
  ratio: 0,
  ratioMax: 0,
};

export function addSums(a: ObjectiveSums, b: ObjectiveSums): ObjectiveSums {
  return {
    loss: a.loss + b.loss,
    numTokens: a.numTokens + b.numTokens,
    numClippedLow: a.numClippedLow + b.numClippedLow,
    numClippedHigh: a.numClippedHigh + b.numClippedHigh,
    kl: a.kl + b.kl,
    entropy: a.entropy + b.entropy,
    ratio: a.ratio + b.ratio,
    ratioMax: Math.max(a.ratioMax, b.ratioMax),
  };
}

/** Means over tokens, whatever the reduction of the loss; zeros when there was none. */
export interface ObjectiveMetrics {
  readonly loss: number;
  readonly clipShare: number;
  readonly clipShareLow: number;
  readonly clipShareHigh: number;
  readonly kl: number;
  readonly entropy: number;
  readonly ratioMean: number;
  readonly ratioMax: number;
}

export function summariseSums(sums: ObjectiveSums): ObjectiveMetrics {
  const mean = (total: number): number => (sums.numTokens === 0 ? 0 : total / sums.numTokens);
  return {
    loss: sums.loss,
    clipShare: mean(sums.numClippedLow + sums.numClippedHigh),
    clipShareLow: mean(sums.numClippedLow),
    clipShareHigh: mean(sums.numClippedHigh),
    kl: mean(sums.kl),
    entropy: mean(sums.entropy),
    ratioMean: mean(sums.ratio),
    ratioMax: sums.ratioMax,
  };
}

const sum = (values: ArrayLike<number>): number => {
  let total = 0;
  for (let n = 0; n < values.length; n++) total += values[n]!;
  return total;
};
