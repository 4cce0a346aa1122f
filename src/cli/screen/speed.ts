// What a run's end says of its speed: a row for each stage, medians over its steps. Pure.

import { bytesText } from "../../config/bytes.ts";
import type { StepMetrics } from "../../run/metrics.ts";
import { cells, count, padEnd, padStart } from "./style.ts";
import type { Style } from "./style.ts";

/** Empty without steps. "batch": sequences in a decode batch, of all rollouts of a step. */
export function speedLines(steps: readonly StepMetrics[], style: Style): string[] {
  if (steps.length === 0) return [];
  const stages = [...new Set(steps.map(({ stage }) => stage))];
  const rows = [TITLES, ...stages.map((name) => rowOf(steps.filter(({ stage }) => stage === name)))];
  const widths = TITLES.map((_, i) => Math.max(...rows.map((row) => cells(row[i]!))));
  const [title, ...rest] = rows.map((row) =>
    row.map((text, i) => (i === 0 ? padEnd : padStart)(text, widths[i]!)).join("  "),
  );
  return [style(title!, "strong"), ...rest];
}

const TITLES = ["by stage", "a step", "decode tok/s", "batch", "update tok/s", "trie", "memory"];

function rowOf(steps: readonly StepMetrics[]): string[] {
  const middle = (of: (step: StepMetrics) => number): number => median(steps.map(of));
  const { stage, numRollouts } = steps[0]!;
  const updates = steps.map(({ update }) => update).filter(({ tokens }) => tokens > 0);
  return [
    stage,
    `${middle(({ seconds }) => seconds).toFixed(2)} s`,
    count(middle(({ decode }) => decode.tokensPerSecond)),
    `${middle(({ decodeOccupancy }) => decodeOccupancy).toFixed(0)} of ${numRollouts}`,
    // A step whose groups agree updates nothing.
    updates.length > 0 ? count(median(updates.map((each) => each.tokensPerSecond))) : "-",
    `${middle(({ trieRatio }) => trieRatio).toFixed(1)}x`,
    bytesText(Math.max(...steps.map(({ memory }) => memory.usedBytes))),
  ];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2;
}
