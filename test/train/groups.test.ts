import { describe, expect, test } from "bun:test";
import { splitIntoUpdates, weighGroups } from "../../src/train/groups.ts";
import { emByHops, rolloutFigures } from "../../src/train/rollout-figures.ts";
import { sampleOf } from "../helpers/samples.ts";
import type { Group } from "../../src/types.ts";

function groupOf(id: string, rewards: readonly number[]): Group {
  const samples = rewards.map((total, sample) => sampleOf({ groupId: id, sample, total }));
  return { id, task: samples[0]!.rollout.task, samples };
}
const unbiased = { std: "unbiased", eps: 0 } as const;

describe("the split of a step into updates", () => {
  const ids = (updates: ReturnType<typeof splitIntoUpdates>): string[][] =>
    updates.map((list) => [...new Set(list.map(({ rollout }) => rollout.groupId))]);
  const groups = ["a", "b", "c", "d", "e"].map((id) => groupOf(id, id === "c" ? [1, 1] : [0, 1]));
  const weighed = weighGroups(groups, unbiased);

  test("a group of equal rewards is trained on in no update", () => {
    expect(weighed.filter(({ zeroVariance }) => zeroVariance)).toHaveLength(1);
    expect(ids(splitIntoUpdates(weighed, 1))).toEqual([["a", "b", "d", "e"]]);
  });
  test("groups stay whole and updates even", () => {
    expect(ids(splitIntoUpdates(weighed, 2))).toEqual([
      ["a", "b"],
      ["d", "e"],
    ]);
  });
  test("no update is empty, also when there are fewer useful groups than updates", () => {
    const lists = splitIntoUpdates(weighed, 7);
    expect(lists.flat()).toHaveLength(8);
    expect(lists.every((list) => list.length > 0)).toBe(true);
    expect(splitIntoUpdates(weighGroups([groupOf("z", [0, 0])], unbiased), 3)).toEqual([]);
  });
  test("each rollout keeps its own advantage: rewards 0 and 1 give -1/sqrt 2 and 1/sqrt 2", () => {
    const [first] = splitIntoUpdates(weighed, 1);
    expect(first!.slice(0, 2).map(({ advantage }) => advantage)).toEqual([
      -0.5 / Math.sqrt(0.5),
      0.5 / Math.sqrt(0.5),
    ]);
  });
  test("two groups of one id are refused: their advantages would silently be wrong", () => {
    expect(() => weighGroups([groupOf("a", [0, 1]), groupOf("a", [0, 1])], unbiased)).toThrow(
      "id a",
    );
  });
});

describe("figures of a set of rollouts", () => {
  const call = { tool: "search", input: "x", latencyMs: 1, attempts: 1 };
  const failed = {
    ...call,
    result: { ok: false, reason: "timeout", text: "", detail: "" },
  } as const;
  const found = { ...call, result: { ok: true, text: "y" } } as const;
  const samples = [
    sampleOf({ total: 1, em: 1, hops: 1, calls: [found, failed], entropies: [1, 3] }),
    sampleOf({ total: 0, em: 0, hops: 2, calls: [], entropies: [2] }),
    sampleOf({ total: 0.2, em: 0, hops: 2, calls: [found], entropies: [] }),
  ];
  const figures = rolloutFigures(samples);

  test("means are over rollouts, failures and finishes are counts", () => {
    expect(figures.reward).toBeCloseTo(1.2 / 3, 12);
    expect(figures.em).toBeCloseTo(1 / 3, 12);
    expect(figures.toolCalls).toBe(1);
    expect(figures.callsByTool).toEqual({ search: 1 });
    expect(figures.toolFailures).toBe(1);
    expect(figures.finishReasons).toEqual({ answer: 3 });
  });
  test("the finish turn histogram starts at turn 1 and counts every rollout once", () => {
    expect(figures.finishTurns).toEqual([1, 1, 1]);
  });
  test("entropy is a mean over sampled tokens, not over rollouts: (1 + 3 + 2) / 3", () => {
    expect(figures.entropy).toBe(2);
  });
  test("EM by hops looks at the tasks of each kind alone", () => {
    expect(emByHops(samples)).toEqual({ "1": 1, "2": 0 });
  });
  test("no rollouts give zeros, not NaN", () => {
    const none = rolloutFigures([]);
    expect([none.reward, none.em, none.entropy, none.policyTokens.mean]).toEqual([0, 0, 0, 0]);
  });
});
