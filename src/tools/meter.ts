// What calls of one tool came to: counts and latencies. It only grows; `figures` since a mark is
// what came between.

import type { ToolFigures } from "../run/metrics.ts";
import type { ToolCall, ToolFailure } from "../types.ts";
import type { BreakerState } from "./breaker.ts";
import { LatencyHistogram } from "./latency.ts";

interface Counts {
  calls: number;
  retries: number;
  recorded: number;
  failures: Partial<Record<ToolFailure, number>>;
}

/** A meter's state at some moment. */
export interface MeterMark {
  readonly counts: Readonly<Counts>;
  readonly latencies: LatencyHistogram;
}

const NOTHING: MeterMark = {
  counts: { calls: 0, retries: 0, recorded: 0, failures: {} },
  latencies: LatencyHistogram.empty(),
};

export class Meter {
  private readonly counts: Counts = { ...NOTHING.counts, failures: {} };
  private readonly latencies = LatencyHistogram.empty();

  constructor(private readonly tool: string) {}

  /** `recorded`: nothing was asked for it. */
  add({ result, latencyMs, attempts }: ToolCall, recorded: boolean): void {
    const { counts } = this;
    counts.calls++;
    if (recorded) counts.recorded++;
    counts.retries += Math.max(0, attempts - 1);
    if (attempts > 0) this.latencies.add(latencyMs);
    if (!result.ok) counts.failures[result.reason] = (counts.failures[result.reason] ?? 0) + 1;
  }

  mark(): MeterMark {
    const counts = { ...this.counts, failures: { ...this.counts.failures } };
    return { counts, latencies: this.latencies.copy() };
  }

  figures(breaker: BreakerState, since: MeterMark = NOTHING): ToolFigures {
    const { counts } = this;
    const latencies = this.latencies.since(since.latencies);
    const before = (why: string): number => since.counts.failures[why as ToolFailure] ?? 0;
    const failures = Object.entries(counts.failures)
      .map(([why, count]) => [why, count - before(why)] as const)
      .filter(([, count]) => count > 0);
    return {
      tool: this.tool,
      calls: counts.calls - since.counts.calls,
      failures: Object.fromEntries(failures),
      retries: counts.retries - since.counts.retries,
      recorded: counts.recorded - since.counts.recorded,
      p50Ms: latencies.quantile(0.5),
      p99Ms: latencies.quantile(0.99),
      breaker,
    };
  }
}
