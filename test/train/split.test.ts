// Which rollouts go together. The naive counterpart here tries every partition of few branches.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { findBranches, type Branches, type TrainRollout } from "../../src/train/branches.ts";
import { batchBytes } from "../../src/train/plan/batch-memory.ts";
import type { EngineShape } from "../../src/train/plan/engine-shape.ts";
import { batchPlanner, type BatchLimits } from "../../src/train/plan/planner.ts";
import {
  loadOf,
  type BatchPlanner,
  splitBranches,
  splitCost,
  tokenPlanner,
} from "../../src/train/split.ts";
import { buildBatches, type TrainBatch } from "../../src/train/trie.ts";
import { Role } from "../../src/types.ts";
import { tinyConfig } from "../helpers/engine.ts";

const SHAPE: EngineShape = {
  config: tinyConfig({ layers: 4 }),
  dtype: "f32",
  device: "cpu",
  threads: 1,
  panel: 16,
};

/** `own` tokens of the policy after a prompt. */
function rollout(prompt: readonly number[], own: readonly number[]): TrainRollout {
  const tokens = [...prompt, ...own, 0];
  return {
    tokens_L: Int32Array.from(tokens),
    roles_L: Uint8Array.from(tokens, (_, i) => (i < prompt.length ? Role.prompt : Role.policy)),
  };
}

const run = (max: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: max });

/** Groups below a shared run, each a prompt with samples of very different lengths. */
const upToFive = { minLength: 1, maxLength: 5 };
const group = fc.record({ own: run(8), samples: fc.array(run(40), upToFive) });
const steps: fc.Arbitrary<readonly TrainRollout[]> = fc
  .record({ shared: run(30), groups: fc.array(group, upToFive) })
  .map(({ shared, groups }) =>
    groups.flatMap(({ own, samples }) => samples.map((each) => rollout([...shared, ...own], each))),
  );

const branchesOf = (rollouts: readonly TrainRollout[]): Branches =>
  findBranches(rollouts, { share: true, minSharedTokens: 1 });

const targetsOf = (rollouts: readonly TrainRollout[]): number =>
  branchesOf(rollouts).targets_B.reduce((sum, targets) => sum + targets, 0);

const bytesOf = ({ distinctTokens, targetRows_N, recomputed }: TrainBatch): number =>
  batchBytes(SHAPE, { tokens: distinctTokens, targets: targetRows_N.length, recomputed });

/** The bytes of one rollout alone, the most frugal way, times a factor. */
function limitsFor(rollouts: readonly TrainRollout[], factor: number): BatchLimits {
  const alone = rollouts.map((each) => {
    const [batch] = buildBatches([each], { planner: tokenPlanner(1000, SHAPE.config.layers) });
    return bytesOf(batch!);
  });
  const most = Math.max(...alone);
  return { maxTokens: 10_000, maxBytes: factor * most, recompute: "auto" };
}

describe("under a budget of bytes", () => {
  const factors = fc.double({ min: 1.001, max: 6, noNaN: true });
  const split = (rollouts: readonly TrainRollout[], factor: number) => {
    const limits = limitsFor(rollouts, factor);
    const planner = batchPlanner(SHAPE, limits, targetsOf(rollouts));
    return { limits, planner, batches: buildBatches(rollouts, { planner }) };
  };

  test("no micro-batch takes more, and each rollout is in exactly one", () => {
    fc.assert(
      fc.property(steps, factors, (rollouts, factor) => {
        const { limits, batches } = split(rollouts, factor);
        for (const batch of batches) expect(bytesOf(batch)).toBeLessThanOrEqual(limits.maxBytes);
        const sources = batches.flatMap(({ sources_N }) => [...new Set(sources_N)]);
        expect(sources.toSorted((a, b) => a - b)).toEqual(rollouts.map((_, i) => i));
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  test("as few layers are computed again as fit", () => {
    fc.assert(
      fc.property(steps, factors, (rollouts, factor) => {
        const { limits, batches } = split(rollouts, factor);
        for (const batch of batches.filter(({ recomputed }) => recomputed > 0)) {
          const fewer = { ...batch, recomputed: batch.recomputed - 1 };
          expect(bytesOf(fewer)).toBeGreaterThan(limits.maxBytes);
        }
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  test("no cut of the order into equal limits of tokens costs less, recomputing or not", () => {
    fc.assert(
      fc.property(steps, factors, (rollouts, factor) => {
        const { limits, planner } = split(rollouts, factor);
        const branches = branchesOf(rollouts);
        const cost = splitCost(branches, splitBranches(branches, planner), planner);
        for (const recompute of ["nothing", "layers"] as const) {
          const fixed = batchPlanner(SHAPE, { ...limits, recompute }, targetsOf(rollouts));
          const halved = halvedUntil(branches, fixed);
          if (halved === undefined) continue;
          expect(cost).toBeLessThanOrEqual(splitCost(branches, halved, planner) * (1 + 1e-12));
        }
      }),
      { seed: 3, numRuns: 100 },
    );
  });

  test("a load counts rows, attended keys and targets as the packed batch has them", () => {
    fc.assert(
      fc.property(steps, factors, (rollouts, factor) => {
        const { batches, planner } = split(rollouts, factor);
        const branches = branchesOf(rollouts);
        splitBranches(branches, planner).forEach((part, i) => {
          const { distinctTokens, positions_T, targetRows_N } = batches[i]!;
          expect(loadOf(branches, part)).toEqual({
            tokens: distinctTokens,
            keys: positions_T.reduce((sum, position) => sum + position + 1, 0),
            targets: targetRows_N.length,
          });
        });
      }),
      { seed: 4, numRuns: 100 },
    );
  });
});

/** The order cut greedily at fewer and fewer tokens until all parts fit. */
function halvedUntil(branches: Branches, planner: BatchPlanner) {
  for (let most = 4096; most >= 1; most = Math.floor(most / 2)) {
    const parts = cutGreedily(branches, most);
    const fits = (part: number[]) => planner.recomputed(loadOf(branches, part)) !== undefined;
    if (parts.every(fits)) return parts;
  }
  return undefined;
}

function cutGreedily(branches: Branches, maxTokens: number): number[][] {
  const parts: number[][] = [];
  branches.lengths_B.forEach((_, b) => {
    const last = parts.at(-1);
    const grown = [...(last ?? []), b];
    if (last !== undefined && loadOf(branches, grown).tokens <= maxTokens) last.push(b);
    else parts.push([b]);
  });
  return parts;
}

/** Every way to put the branches into micro-batches. */
function* partitions(count: number): Generator<number[][]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (const parts of partitions(count - 1)) {
    yield [...parts, [count - 1]];
    for (let i = 0; i < parts.length; i++) {
      yield parts.map((part, j) => (i === j ? [...part, count - 1] : part));
    }
  }
}

function cheapest(branches: Branches, planner: BatchPlanner): number {
  let best = Infinity;
  for (const parts of partitions(branches.lengths_B.length)) {
    const fits = parts.every((part) => planner.recomputed(loadOf(branches, part)) !== undefined);
    if (fits) best = Math.min(best, splitCost(branches, parts, planner));
  }
  return best;
}

describe("the cheapest of all partitions is found", () => {
  const numbers = (count: number, from: number): number[] =>
    Array.from({ length: count }, (_, i) => from + i);
  const star = (prompt: number, lengths: readonly number[]): TrainRollout[] =>
    lengths.map((length, i) => rollout(numbers(prompt, 1), numbers(length, 1000 * (i + 1))));
  const chain = (prompt: number, lengths: readonly number[]): TrainRollout[] =>
    lengths.map((length) => rollout(numbers(prompt, 1), numbers(length, 1000)));
  const SHAPES: readonly [string, readonly TrainRollout[], number][] = [
    ["a star of equal branches", star(20, [9, 9, 9, 9, 9, 9]), 45],
    ["a star of unequal branches, out of order", star(20, [20, 1, 20, 1, 19, 1]), 42],
    ["a chain", chain(10, [1, 4, 7, 11, 16, 20]), 30],
    ["nothing shared", [...star(0, [5, 9, 3, 8, 6])].map((each) => each), 15],
  ];
  for (const [name, rollouts, maxTokens] of SHAPES) {
    test(name, () => {
      const all = rollouts.map(({ tokens_L, roles_L }) => {
        const roles = roles_L.slice();
        roles[0] = Role.prompt;
        return { tokens_L, roles_L: roles };
      });
      const branches = branchesOf(all);
      const planner = tokenPlanner(maxTokens);
      const cost = splitCost(branches, splitBranches(branches, planner), planner);
      expect(cost).toBe(cheapest(branches, planner));
    });
  }

  test("or one within a tenth, over random steps", () => {
    const few = steps.filter((rollouts) => rollouts.length <= 7);
    fc.assert(
      fc.property(few, fc.integer({ min: 80, max: 160 }), (rollouts, maxTokens) => {
        const branches = branchesOf(rollouts);
        const planner = tokenPlanner(maxTokens);
        const cost = splitCost(branches, splitBranches(branches, planner), planner);
        expect(cost).toBeLessThanOrEqual(1.1 * cheapest(branches, planner));
      }),
      { seed: 6, numRuns: 60 },
    );
  });
});
