import { describe, expect, test } from "bun:test";
import { toolLines } from "../../../src/cli/screen/tools.ts";
import type { ToolFigures } from "../../../src/run/metrics.ts";

const figures: ToolFigures = {
  tool: "search",
  calls: 512,
  failures: {},
  retries: 0,
  recorded: 0,
  p50Ms: 3.21,
  p99Ms: 9.94,
  breaker: "closed",
};

describe("the end of a run says of a tool", () => {
  const table: readonly [claim: string, change: Partial<ToolFigures>, lines: string[]][] = [
    ["nothing where all was well and fast", {}, []],
    [
      "what failed, by reason",
      { failures: { error: 2, timeout: 1 }, retries: 1 },
      ["search: 512 calls, 3 failed (2 error, 1 timeout), 1 retry, p50 3.2 ms, p99 9.9 ms"],
    ],
    [
      "how long rollouts waited",
      { p50Ms: 41.2, p99Ms: 230.4, recorded: 100, retries: 3 },
      ["search: 512 calls, 3 retries, 100 recorded, p50 41 ms, p99 230 ms"],
    ],
    [
      "that it is not asked any more",
      { calls: 1, failures: { unavailable: 1 }, p50Ms: 0, p99Ms: 0, breaker: "open" },
      ["search: 1 call, 1 failed (1 unavailable), not asked at the end"],
    ],
  ];
  test.each(table)("%s", (_claim, change, lines) => {
    expect(toolLines([{ ...figures, ...change }])).toEqual(lines);
  });
});
