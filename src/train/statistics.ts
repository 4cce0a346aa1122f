// How sure a mean over questions is: the percentile bootstrap (Efron 1979; Efron and Tibshirani
// 1993, chapter 13). Pure, and a function of its seed. Questions are drawn with replacement, each
// with all its samples, since samples of one question are not independent. Several benchmarks are
// strata: each is drawn from by itself, and the figure is the mean of their means.
// A limit of the method: where all values are equal the interval has no width. With n questions
// all right, the true rate may still be as low as about 1 - 3/n.

import { Random } from "../data/random.ts";

export interface Estimate {
  readonly value: number;
  /** Of the interval that holds the true mean with probability `LEVEL`. */
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  readonly seed: number;
  readonly resamples?: number; // default 2000: ends vary by a few percent of the width
  readonly level?: number;
}

export const LEVEL = 0.95;
const RESAMPLES = 2000;

/** The mean of the strata's means, with its interval. A stratum has a value for each question. */
export function bootstrap(
  strata: readonly (readonly number[])[],
  { seed, resamples = RESAMPLES, level = LEVEL }: BootstrapOptions,
): Estimate {
  if (strata.length === 0 || strata.some(({ length }) => length === 0)) {
    throw new Error("no mean of no values");
  }
  const random = new Random(seed, "bootstrap");
  const means = Float64Array.from({ length: resamples }, () =>
    meanOf(strata.map((values) => meanOfDraws(values, random))),
  ).toSorted();
  return {
    value: meanOf(strata.map(meanOf)),
    low: quantile(means, (1 - level) / 2),
    high: quantile(means, (1 + level) / 2),
  };
}

function meanOfDraws(values: readonly number[], random: Random): number {
  let sum = 0;
  for (let draw = 0; draw < values.length; draw++) sum += values[random.integer(values.length)]!;
  return sum / values.length;
}

/** The smallest value that at least that share of the sorted ones does not exceed. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const rank = Math.ceil(share * sorted.length - 1e-9); // 0.95 * 20 is a little above 19
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
