// What a run's end says of its tools: a line for each of which something failed, or for which
// rollouts waited. Pure.

import type { ToolFigures } from "../../run/metrics.ts";
import { plural } from "./style.ts";

/** From here on a wait is worth a line, at the 99th percentile. */
const SLOW_MS = 100;

export function toolLines(tools: readonly ToolFigures[]): string[] {
  return tools.filter(isWorthALine).map(toolLine);
}

function isWorthALine({ failures, p99Ms, breaker }: ToolFigures): boolean {
  return Object.keys(failures).length > 0 || p99Ms >= SLOW_MS || breaker !== "closed";
}

/** "search: 512 calls, 3 failed (2 error, 1 timeout), 4 retries, p50 41 ms, p99 230 ms". */
export function toolLine(figures: ToolFigures): string {
  const { tool, calls, failures, retries, recorded, p50Ms, p99Ms, breaker } = figures;
  const reasons = Object.entries(failures).map(([why, count]) => `${count} ${why}`);
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const parts = [
    plural(calls, "call"),
    ...(failed > 0 ? [`${failed} failed (${reasons.join(", ")})`] : []),
    ...(retries > 0 ? [retries === 1 ? "1 retry" : `${retries} retries`] : []),
    ...(recorded > 0 ? [`${recorded} recorded`] : []),
    ...(p50Ms > 0 ? [`p50 ${milliseconds(p50Ms)}`, `p99 ${milliseconds(p99Ms)}`] : []),
    ...(breaker === "closed" ? [] : ["not asked at the end"]),
  ];
  return `${tool}: ${parts.join(", ")}`;
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
