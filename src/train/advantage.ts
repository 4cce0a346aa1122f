// Group-normalised advantages (GRPO, arXiv 2402.03300): how much better a sample was than its
// group. No baseline network. Shape letters: G samples of one group.

/**
 * What the deviation from the group's mean is divided by: nothing (Dr. GRPO, arXiv 2503.20783), or
 * the standard deviation plus `eps`, estimated with G - 1 (`unbiased`) or G (`biased`) in the
 * denominator.
 */
export type AdvantageOptions =
  { readonly std: "none" } | { readonly std: "unbiased" | "biased"; readonly eps: number };

export interface GroupAdvantages {
  readonly advantages_G: Float64Array;
  /**
   * All rewards are equal, so nothing can be learnt: every advantage is exactly 0. A group of one
   * is such a group.
   */
  readonly zeroVariance: boolean;
}

export function groupAdvantages(
  rewards_G: readonly number[],
  options: AdvantageOptions,
): GroupAdvantages {
  if (!rewards_G.every(Number.isFinite)) throw new Error(`a reward is not finite: ${rewards_G}`);
  const size = rewards_G.length;
  if (rewards_G.every((reward) => reward === rewards_G[0])) {
    return { advantages_G: new Float64Array(size), zeroVariance: true };
  }
  const mean = rewards_G.reduce((sum, reward) => sum + reward, 0) / size;
  const centred_G = Float64Array.from(rewards_G, (reward) => reward - mean);
  const divisor = spread(centred_G, options);
  return { advantages_G: centred_G.map((value) => value / divisor), zeroVariance: false };
}

function spread(centred_G: Float64Array, options: AdvantageOptions): number {
  if (options.std === "none") return 1;
  const squares = centred_G.reduce((sum, value) => sum + value * value, 0);
  const degrees = options.std === "unbiased" ? centred_G.length - 1 : centred_G.length;
  return Math.sqrt(squares / degrees) + options.eps;
}
