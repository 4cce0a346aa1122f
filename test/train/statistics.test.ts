import { describe, expect, test } from "bun:test";
import { bootstrap, quantile } from "../../src/train/statistics.ts";

const zerosAndOnes = (zeros: number, ones: number): number[] => [
  ...Array<number>(zeros).fill(0),
  ...Array<number>(ones).fill(1),
];

/** P(X <= k) of X ~ Binomial(n, p), summed term by term. */
function binomialCdf(n: number, p: number, k: number): number {
  let term = (1 - p) ** n;
  let sum = term;
  for (let i = 1; i <= k; i++) {
    term *= ((n - i + 1) / i) * (p / (1 - p));
    sum += term;
  }
  return sum;
}
function binomialQuantile(n: number, p: number, share: number): number {
  for (let k = 0; ; k++) if (binomialCdf(n, p, k) >= share) return k;
}

describe("the interval of a share is that of its closed form", () => {
  // Drawing n of n values with replacement, k of them 1, gives Binomial(n, k/n) / n.
  const table: readonly [n: number, k: number, level: number][] = [
    [50, 20, 0.95],
    [50, 20, 0.5],
    [200, 30, 0.95],
    [400, 200, 0.9],
  ];
  test.each(table)("%i questions, %i right, level %p", (n, k, level) => {
    const { value, low, high } = bootstrap([zerosAndOnes(n - k, k)], {
      seed: 1,
      resamples: 10_000,
      level,
    });
    const tail = (1 - level) / 2;
    expect(value).toBeCloseTo(k / n, 12);
    // within one question: the ends of 10,000 draws are themselves uncertain
    expect(Math.abs(low * n - binomialQuantile(n, k / n, tail))).toBeLessThan(1.001);
    expect(Math.abs(high * n - binomialQuantile(n, k / n, 1 - tail))).toBeLessThan(1.001);
  });

  test("and about 1.96 standard errors wide on each side", () => {
    const { low, high } = bootstrap([zerosAndOnes(300, 200)], { seed: 3 });
    const error = 1.96 * Math.sqrt((0.4 * 0.6) / 500);
    expect(Math.abs(0.4 - low - error)).toBeLessThan(0.1 * error);
    expect(Math.abs(high - 0.4 - error)).toBeLessThan(0.1 * error);
  });
});

test("two values give means 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4", () => {
  const values = [zerosAndOnes(1, 1)];
  expect(bootstrap(values, { seed: 1, level: 0.4 })).toEqual({ value: 0.5, low: 0.5, high: 0.5 });
  expect(bootstrap(values, { seed: 1, level: 0.6 })).toEqual({ value: 0.5, low: 0, high: 1 });
});

test("a mean of strata counts each the same, however large, and adds their variances", () => {
  const strata = [zerosAndOnes(320, 80), zerosAndOnes(20, 20)];
  const { value, low, high } = bootstrap(strata, { seed: 1 });
  expect(value).toBeCloseTo((0.2 + 0.5) / 2, 12);
  const error = 1.96 * 0.5 * Math.sqrt((0.2 * 0.8) / 400 + (0.5 * 0.5) / 40);
  expect(Math.abs((high - low) / 2 - error)).toBeLessThan(0.1 * error);
});

test("the same seed gives the same interval, another seed another one", () => {
  const values = [Array.from({ length: 97 }, (_, i) => Math.sin(i) ** 2)];
  expect(bootstrap(values, { seed: 7 })).toEqual(bootstrap(values, { seed: 7 }));
  expect(bootstrap(values, { seed: 8 })).not.toEqual(bootstrap(values, { seed: 7 }));
});

test("equal values have an interval without width", () => {
  expect(bootstrap([[1, 1, 1]], { seed: 1 })).toEqual({ value: 1, low: 1, high: 1 });
});

test("a mean of nothing is refused", () => {
  expect(() => bootstrap([], { seed: 1 })).toThrow("no mean of no values");
  expect(() => bootstrap([[1], []], { seed: 1 })).toThrow("no mean of no values");
});

test("a quantile is the smallest value that the share of values does not exceed", () => {
  const sorted = [10, 20, 30, 40];
  const shares = [0, 0.25, 0.26, 0.5, 0.75, 1] as const;
  expect(shares.map((share) => quantile(sorted, share))).toEqual([10, 10, 20, 20, 30, 40]);
});
