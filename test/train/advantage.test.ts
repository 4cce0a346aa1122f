import { describe, expect, test } from "bun:test";
import { groupAdvantages, type AdvantageOptions } from "../../src/train/advantage.ts";
import golden from "../golden/objective.json";

describe("groupAdvantages", () => {
  // rewards 1, 0, 0, 1: mean .5, squares of the deviations sum to 1
  const cases: readonly (readonly [AdvantageOptions, number])[] = [
    [{ std: "none" }, 0.5],
    [{ std: "biased", eps: 0 }, 0.5 / Math.sqrt(1 / 4)],
    [{ std: "unbiased", eps: 0 }, 0.5 / Math.sqrt(1 / 3)],
    [{ std: "biased", eps: 0.5 }, 0.5 / (0.5 + 0.5)],
  ];
  test.each(cases)("%j divides the deviation from the mean", (options, size) => {
    const { advantages_G, zeroVariance } = groupAdvantages([1, 0, 0, 1], options);
    [size, -size, -size, size].forEach((a, g) => expect(advantages_G[g]).toBeCloseTo(a, 15));
    expect(zeroVariance).toBe(false);
  });

  test.each(golden.advantages)("equals torch for $std", ({ std, eps, values }) => {
    golden.rewards.forEach((rewards, group) => {
      const { advantages_G } = groupAdvantages(rewards, { std, eps } as AdvantageOptions);
      values[group]!.forEach((value, g) => expect(advantages_G[g]).toBeCloseTo(value, 13));
    });
  });

  const equal: readonly (readonly number[])[] = [[0.95, 0.95, 0.95], [0, 0], [1], []];
  test.each(equal.map((rewards) => [rewards] as const))(
    "equal rewards %j yield zero advantages and are flagged",
    (rewards) => {
      const result = groupAdvantages(rewards, { std: "unbiased", eps: 1e-6 });
      expect([...result.advantages_G]).toEqual(rewards.map(() => 0));
      expect(result.zeroVariance).toBe(true);
    },
  );

  test("a reward that is not finite throws", () => {
    expect(() => groupAdvantages([1, NaN], { std: "none" })).toThrow("not finite");
  });
});
