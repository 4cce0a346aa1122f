import { expect, test } from "bun:test";
import { LatencyHistogram } from "../../src/tools/latency.ts";

test("quantiles are right within 1.1 % over nine orders of magnitude", () => {
  for (let ms = 1e-3; ms < 3.6e6; ms *= 1.37) {
    const histogram = LatencyHistogram.empty();
    histogram.add(ms);
    expect(Math.abs(histogram.quantile(0.5) - ms) / ms).toBeLessThan(0.011);
  }
});

test("a quantile is the value that a share of all does not exceed", () => {
  const histogram = LatencyHistogram.empty();
  for (let ms = 1; ms <= 100; ms++) histogram.add(ms);
  for (const share of [0.01, 0.5, 0.99, 1]) {
    const expected = 100 * share;
    expect(Math.abs(histogram.quantile(share) - expected) / expected).toBeLessThan(0.03);
  }
});

test("of nothing it is 0, and what is too short or too long has a bucket", () => {
  const histogram = LatencyHistogram.empty();
  expect(histogram.quantile(0.5)).toBe(0);
  for (const ms of [0, -1, 1e12]) histogram.add(ms);
  expect(histogram.count).toBe(3);
});

test("the difference to an earlier copy is what came between", () => {
  const histogram = LatencyHistogram.empty();
  histogram.add(1);
  const before = histogram.copy();
  histogram.add(1000);
  const between = histogram.since(before);
  expect(between.count).toBe(1);
  expect(between.quantile(0.5)).toBeGreaterThan(900);
});
