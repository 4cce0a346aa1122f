import { expect, test } from "bun:test";
import { speedLines } from "../../../src/cli/screen/speed.ts";
import { plainStyle } from "../../../src/cli/screen/style.ts";
import { stepMetrics } from "../../helpers/run-records.ts";

const MIB = 2 ** 20;

test("each stage has a row of medians, and the most memory of its steps", () => {
  const steps = [1, 2, 3, 40].map((seconds, i) =>
    stepMetrics(i + 1, {
      seconds,
      decodeOccupancy: 100 + i,
      memory: { plannedBytes: 0, usedBytes: (i + 1) * 100 * MIB, numBatches: 1 },
    }),
  );
  const second = { stage: "stage2", numRollouts: 64, trieRatio: 1.2, decodeOccupancy: 61 };
  const last = stepMetrics(5, { ...second, seconds: 0.5 });
  expect(speedLines([...steps, last], plainStyle)).toEqual([
    "by stage  a step  decode tok/s       batch  update tok/s  trie     memory",
    "stage1    2.50 s          2.0k  102 of 128          2.0k  3.1x  400.0 MiB",
    "stage2    0.50 s          2.0k    61 of 64          2.0k  1.2x   85.8 MiB",
  ]);
});

test("steps that update nothing do not count as slow updates", () => {
  const none = { tokens: 0, seconds: 0, tokensPerSecond: 0 };
  const updating = speedLines([stepMetrics(1), stepMetrics(2, { update: none })], plainStyle);
  expect(updating[1]).toContain("2.0k  3.1x");
  const [, row] = speedLines([stepMetrics(1, { update: none })], plainStyle);
  expect(row).toContain("-  3.1x");
});

test("a run without steps has no speed", () => {
  expect(speedLines([], plainStyle)).toEqual([]);
});
