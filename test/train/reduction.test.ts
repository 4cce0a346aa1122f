import { describe, expect, test } from "bun:test";
import { tokenWeights, type Reduction } from "../../src/train/reduction.ts";

describe("a reduction's token weights", () => {
  const numTokens = [2, 6, 4]; // of three rollouts, the first two in one group
  const groups = ["a", "a", "b"];
  const cases: readonly (readonly [Reduction, readonly number[]])[] = [
    [{ kind: "token_mean" }, [1 / 12, 1 / 12, 1 / 12]],
    [{ kind: "sequence_mean" }, [1 / 6, 1 / 18, 1 / 12]], // 1 / (3 rollouts * own tokens)
    [{ kind: "group_mean" }, [1 / 16, 1 / 16, 1 / 8]], // 1 / (2 groups * tokens of the group)
    [{ kind: "sequence_sum" }, [1 / 3, 1 / 3, 1 / 3]],
    [{ kind: "sequence_sum_over_max", maxTokens: 8 }, [1 / 24, 1 / 24, 1 / 24]],
  ];
  test.each(cases)("%j", (reduction, expected) => {
    const weights = tokenWeights(reduction, numTokens, groups);
    expected.forEach((weight, rollout) => expect(weights[rollout]).toBeCloseTo(weight, 15));
  });

  test("means give all tokens together a weight of one", () => {
    for (const kind of ["token_mean", "sequence_mean", "group_mean"] as const) {
      const weights = tokenWeights({ kind }, numTokens, groups);
      const total = numTokens.reduce((sum, count, rollout) => sum + count * weights[rollout]!, 0);
      expect(total).toBeCloseTo(1, 15);
    }
  });

  test("are finite for a rollout without tokens", () => {
    for (const kind of ["sequence_mean", "group_mean"] as const) {
      expect([...tokenWeights({ kind }, [0, 4], ["a", "b"])]).toEqual([0, 1 / 8]);
    }
  });
});
