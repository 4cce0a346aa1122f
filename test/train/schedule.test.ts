import { describe, expect, test } from "bun:test";
import { scheduleFactor, type Schedule } from "../../src/train/schedule.ts";

function factors(schedule: Partial<Schedule>, steps: number): number[] {
  const whole = {
    decay: "linear",
    warmupSteps: 0,
    totalSteps: 5,
    decayTo: 0,
    ...schedule,
  } as const;
  return Array.from({ length: steps }, (_, step) => scheduleFactor(whole, step));
}
function expectFactors(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((factor, step) => expect(actual[step]).toBeCloseTo(factor, 12));
}

describe("scheduleFactor", () => {
  test("warm-up rises to the peak and never starts at zero", () => {
    expectFactors(factors({ decay: "constant", warmupSteps: 4 }, 6), [0.25, 0.5, 0.75, 1, 1, 1]);
  });
  test("linear decay goes from the peak to the fraction at the last step", () => {
    expectFactors(factors({ decayTo: 0.2 }, 5), [1, 0.8, 0.6, 0.4, 0.2]);
  });
  test("cosine decay passes the middle half-way", () => {
    const quarter = 0.5 * (1 + Math.cos(Math.PI / 4));
    expectFactors(factors({ decay: "cosine" }, 5), [1, quarter, 0.5, 1 - quarter, 0]);
  });
  test("decay starts at the end of the warm-up", () => {
    expectFactors(factors({ warmupSteps: 2, totalSteps: 4 }, 4), [0.5, 1, 0.5, 0]);
  });
  test("steps beyond the last stay at the fraction", () => {
    expectFactors(factors({ totalSteps: 2, decayTo: 0.1 }, 4), [1, 0.1, 0.1, 0.1]);
  });
  test("a stage of one step runs at the peak", () => {
    expectFactors(factors({ totalSteps: 1 }, 1), [1]);
  });
  test("a warm-up as long as the stage reaches the peak at its end", () => {
    expectFactors(factors({ warmupSteps: 2, totalSteps: 2 }, 2), [0.5, 1]);
  });
});
