// Fair timing on a machine that drifts: contestants take turns, and what is compared are medians
// of turns that lie next to each other. Not here: what is timed.

import { readFileSync } from "node:fs";

/** Runs every contestant once a round, in changing order; entry [c][r] is contestant c's round r. */
export async function takeTurns<T>(
  contestants: readonly (() => T | Promise<T>)[],
  rounds: number,
): Promise<readonly (readonly T[])[]> {
  const results = contestants.map((): T[] => []);
  const order = contestants.map((_, index) => index);
  for (let round = 0; round < rounds; round++) {
    for (const index of order) results[index]!.push(await contestants[index]!());
    order.reverse();
  }
  return results;
}

/** Milliseconds of one call, with its result. */
export async function timed<T>(work: () => T | Promise<T>): Promise<{ result: T; ms: number }> {
  const start = performance.now();
  const result = await work();
  return { result, ms: performance.now() - start };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median over rounds of other / ours: above 1 where ours takes less time. */
export function pairedRatio(ours: readonly number[], others: readonly number[]): number {
  return median(ours.map((value, round) => others[round]! / value));
}

/** The e of y ~ x^e that fits best (least squares of logarithms). */
export function fitExponent(xs: readonly number[], ys: readonly number[]): number {
  const [a, b] = [xs.map(Math.log), ys.map(Math.log)];
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const covariance = mean(a.map((value, i) => (value - meanA) * (b[i]! - meanB)));
  return covariance / mean(a.map((value) => (value - meanA) ** 2));
}

/**
 * Of this process since it began: every part of a bench runs in a process of its own. Not from
 * getrusage, whose maximum begins with what the parent had when it started this one.
 */
export function peakResidentBytes(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kib) * 1024;
}
