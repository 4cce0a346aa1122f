// Shape letters: T rows, S segments, N targets, L tokens of a rollout.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { TrainRollout } from "../../src/train/branches.ts";
import { BATCH_COST_TOKENS } from "../../src/train/split.ts";
import { buildBatches, gatherTargets, type TrainBatch } from "../../src/train/trie.ts";
import { Role } from "../../src/types.ts";

/** `"112p3p"`: digits are tokens; a `p` after one marks it as sampled by the policy. */
function rollout(text: string): TrainRollout {
  const tokens = text.match(/\dp?/g) ?? [];
  return {
    tokens_L: Int32Array.from(tokens, (token) => Number(token[0])),
    roles_L: Uint8Array.from(tokens, (token) => (token.endsWith("p") ? Role.policy : Role.prompt)),
  };
}

function packOne(texts: readonly string[], minSharedTokens = 1): TrainBatch {
  const batches = buildBatches(texts.map(rollout), { maxTokens: 1000, minSharedTokens });
  expect(batches).toHaveLength(1);
  return batches[0]!;
}

describe("a packed trie", () => {
  test("computes a common prefix once and branches after it", () => {
    const batch = packOne(["1234p5p", "1267p8p"]);
    // rows 12 | 34 | 67; the last policy token of each is an id only
    expect([...batch.tokens_T]).toEqual([1, 2, 3, 4, 6, 7]);
    expect([...batch.positions_T]).toEqual([0, 1, 2, 3, 2, 3]);
    expect([...batch.segments_S3]).toEqual([0, 2, 6, 2, 4, 4, 4, 6, 6]);
    expect([...batch.targetRows_N]).toEqual([2, 3, 4, 5]);
    expect([...batch.targetIds_N]).toEqual([4, 5, 7, 8]);
    expect([...batch.sources_N]).toEqual([0, 0, 1, 1]);
    expect([...batch.offsets_N]).toEqual([3, 4, 3, 4]);
    expect([batch.rowTokens, batch.distinctTokens]).toEqual([8, 6]);
  });

  test("scores branches that part at the first sampled token on one row", () => {
    const batch = packOne(["123p", "124p"]);
    expect([...batch.tokens_T]).toEqual([1, 2]);
    expect([...batch.targetRows_N]).toEqual([1, 1]);
    expect([...batch.targetIds_N]).toEqual([3, 4]);
  });

  test("holds two equal rollouts as one node with two targets of the same row and id", () => {
    const batch = packOne(["12p3p", "12p3p"]);
    expect([...batch.segments_S3]).toEqual([0, 2, 2]);
    expect([...batch.targetRows_N]).toEqual([0, 1, 0, 1]);
    expect([...batch.targetIds_N]).toEqual([2, 3, 2, 3]);
    expect([...batch.sources_N]).toEqual([0, 0, 1, 1]);
  });

  test("makes one node of a rollout that goes on where another ends", () => {
    const batch = packOne(["12p3p", "12p3p4p5p"]);
    expect([...batch.tokens_T]).toEqual([1, 2, 3, 4]);
    expect([...batch.segments_S3]).toEqual([0, 4, 4]);
  });

  test("skips rollouts that the policy wrote nothing in, and tokens after its last", () => {
    const batch = packOne(["123", "12p345"]);
    expect([...batch.tokens_T]).toEqual([1]);
    expect([...batch.sources_N]).toEqual([1]);
  });

  test("repeats a shared run that saves fewer tokens than asked", () => {
    const texts = ["1114p5p", "1124p5p", "1134p5p"];
    // sharing 11 saves 2 tokens for each of two further branches
    expect(packOne(texts, 4).distinctTokens).toBe(2 + 3 * 2);
    expect(packOne(texts, 5).distinctTokens).toBe(3 * 4);
  });

  test("a small fork falls to the branches below, not the large one above it", () => {
    const texts = ["11111112223p4p", "11111112224p4p", "11111119p9p", "11111118p8p"];
    // all share 1111111 (saves 21); two share 222 as well (saves 3)
    expect(packOne(texts, 3).distinctTokens).toBe(7 + 3 + 1 + 1 + 1 + 1);
    expect(packOne(texts, 4).distinctTokens).toBe(7 + 4 + 4 + 1 + 1);
  });
});

describe("micro-batches", () => {
  const group = (prefix: string) => ["2p1p", "3p1p", "4p1p"].map((own) => prefix + own);
  const texts = [...group("1111"), ...group("5555")]; // each group: 4 shared rows and one for each sample

  test("are cut where the least is computed twice", () => {
    const batches = buildBatches(texts.map(rollout), { maxTokens: 12 });
    expect(batches.map((batch) => batch.distinctTokens)).toEqual([7, 7]);
    expect(batches.map((batch) => [...new Set(batch.sources_N)].toSorted())).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });

  test("repeat a prefix in each they need it in", () => {
    const batches = buildBatches(group("1111").map(rollout), { maxTokens: 6 });
    expect(batches.map((batch) => batch.distinctTokens)).toEqual([6, 5]); // 4 + 2, 4 + 1
  });

  test("are as few as the budget allows when nothing is shared", () => {
    const rows = buildBatches(texts.map(rollout), { maxTokens: 12, share: false });
    expect(rows.map((batch) => batch.distinctTokens)).toEqual([10, 10, 10]); // rows of 5
  });

  test("refuse a rollout that is longer than the budget", () => {
    const build = () => buildBatches(texts.map(rollout), { maxTokens: 4 });
    expect(build).toThrow("a rollout of 5 tokens does not fit in a micro-batch of 4");
  });

  test("are none without rollouts", () => {
    expect(buildBatches([], { maxTokens: 4 })).toEqual([]);
  });
});

test("a policy token without context is a broken invariant", () => {
  expect(() => buildBatches([rollout("1p2p")], { maxTokens: 9 })).toThrow("no context");
});

test("gatherTargets reads each target's own token", () => {
  const values = [
    [0, 1, 2, 3, 4],
    [10, 11, 12, 13, 14],
  ];
  expect([...gatherTargets(packOne(["1234p5p", "1267p8p"]), values)]).toEqual([3, 4, 13, 14]);
});

// Random rollouts over two token ids share prefixes of all lengths, are prefixes of one another,
// and repeat.
const anyRollout: fc.Arbitrary<TrainRollout> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 1 }), fc.constantFrom(...Object.values(Role))), {
    minLength: 1,
    maxLength: 12,
  })
  .map((tokens) => ({
    tokens_L: Int32Array.from(tokens, ([id]) => id),
    roles_L: Uint8Array.from(tokens, ([, role], offset) => (offset === 0 ? Role.prompt : role)),
  }));
const anyBatch = fc.record({
  rollouts: fc.array(anyRollout, { maxLength: 24 }),
  maxTokens: fc.integer({ min: 12, max: 80 }),
  minSharedTokens: fc.integer({ min: 1, max: 12 }),
  share: fc.boolean(),
});

describe("for any rollouts", () => {
  const property = (claim: (batches: readonly TrainBatch[], of: Packed) => void) => {
    fc.assert(
      fc.property(anyBatch, ({ rollouts, ...options }) => {
        claim(buildBatches(rollouts, options), { rollouts, ...options });
      }),
      { seed: 1, numRuns: 300 },
    );
  };

  test("what a target attends to is exactly the tokens before it, at their positions", () => {
    property((batches, { rollouts }) => {
      for (const batch of batches) {
        for (let n = 0; n < batch.targetRows_N.length; n++) {
          const tokens_L = rollouts[batch.sources_N[n]!]!.tokens_L;
          const offset = batch.offsets_N[n]!;
          const seen = attendedRows(batch, batch.targetRows_N[n]!);
          expect(seen.map((row) => batch.positions_T[row]!)).toEqual(range(offset));
          expect(seen.map((row) => batch.tokens_T[row]!)).toEqual([
            ...tokens_L.subarray(0, offset),
          ]);
          expect(batch.targetIds_N[n]).toBe(tokens_L[offset]);
        }
      }
    });
  });

  test("each policy token is a target once, and a rollout's targets lie in one batch", () => {
    property((batches, { rollouts }) => {
      const targets = batches.flatMap((batch) =>
        Array.from(batch.sources_N, (source, n) => `${source}:${batch.offsets_N[n]}`),
      );
      const policy = rollouts.flatMap(({ roles_L }, source) =>
        range(roles_L.length)
          .filter((offset) => roles_L[offset] === Role.policy)
          .map((offset) => `${source}:${offset}`),
      );
      expect(targets.toSorted()).toEqual(policy.toSorted());
      const homes = batches.flatMap((batch) => [...new Set(batch.sources_N)]);
      expect(new Set(homes).size).toBe(homes.length);
    });
  });

  test("segments are in depth-first order, nest, and own each row once", () => {
    property((batches) => {
      for (const { segments_S3, tokens_T } of batches) {
        let row = 0;
        const open: number[] = [];
        for (let s = 0; s < segments_S3.length; s += 3) {
          const [start, endOwn, end] = segments_S3.subarray(s, s + 3) as unknown as number[];
          expect(start).toBe(row);
          expect(endOwn).toBeGreaterThan(start!);
          expect(end).toBeGreaterThanOrEqual(endOwn!);
          while (open.length > 0 && open.at(-1)! <= start!) open.pop();
          expect(end).toBeLessThanOrEqual(open.at(-1) ?? tokens_T.length);
          open.push(end!);
          row = endOwn!;
        }
        expect(row).toBe(tokens_T.length);
      }
    });
  });

  test("a batch keeps the budget and counts its rows", () => {
    property((batches, { rollouts, maxTokens }) => {
      for (const batch of batches) {
        expect(batch.distinctTokens).toBe(batch.tokens_T.length);
        expect(batch.distinctTokens).toBeLessThanOrEqual(maxTokens);
        const sources = [...new Set(batch.sources_N)];
        const lengths = sources.map((source) => rollouts[source]!.roles_L.lastIndexOf(Role.policy));
        expect(batch.rowTokens).toBe(lengths.reduce((sum, length) => sum + length, 0));
      }
    });
  });

  test("every distinct prefix is one row, a fork starts a node, and nothing else does", () => {
    property((batches, { rollouts, share, minSharedTokens }) => {
      if (!share || minSharedTokens > 1) return;
      for (const batch of batches) {
        const prefixes = distinctPrefixes([...new Set(batch.sources_N)].map((s) => rollouts[s]!));
        expect(batch.distinctTokens).toBe(prefixes.size);
        expect(batch.segments_S3.length / 3).toBe(countNodes(prefixes));
      }
    });
  });

  test("without sharing each rollout is one node at its full length", () => {
    property((batches, { share }) => {
      if (share) return;
      for (const batch of batches) {
        expect(batch.distinctTokens).toBe(batch.rowTokens);
        expect(batch.segments_S3.length / 3).toBe(new Set(batch.sources_N).size);
      }
    });
  });

  test("no cut of the order into batches costs less", () => {
    property((batches, { rollouts, ...options }) => {
      const all = buildBatches(rollouts, { ...options, maxTokens: 10_000 })[0];
      if (all === undefined) return;
      const order = [...new Set(all.sources_N)].map((source) => rollouts[source]!);
      if (options.minSharedTokens > 1) return; // which forks are kept depends on the whole
      const total = batches.reduce((sum, batch) => sum + batch.distinctTokens, 0);
      const cost = total + batches.length * BATCH_COST_TOKENS;
      expect(cost).toBeLessThanOrEqual(cheapestCut(order, options.maxTokens, options.share));
    });
  });
});

interface Packed {
  readonly rollouts: readonly TrainRollout[];
  readonly maxTokens: number;
  readonly minSharedTokens: number;
  readonly share: boolean;
}

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);

/**
 * The engine's rule (icrl.h), spelt out: rows that the given row attends to, in the order of their
 * positions.
 */
function attendedRows({ segments_S3, positions_T }: TrainBatch, row: number): number[] {
  const seen: number[] = [];
  for (let s = 0; s < segments_S3.length; s += 3) {
    if (row < segments_S3[s]! || row >= segments_S3[s + 2]!) continue;
    for (let own = segments_S3[s]!; own < segments_S3[s + 1]!; own++) {
      if (positions_T[own]! <= positions_T[row]!) seen.push(own);
    }
  }
  return seen.toSorted((a, b) => positions_T[a]! - positions_T[b]!);
}

function distinctPrefixes(rollouts: readonly TrainRollout[]): Set<string> {
  const prefixes = new Set<string>();
  for (const { tokens_L, roles_L } of rollouts) {
    const inputs = tokens_L.subarray(0, roles_L.lastIndexOf(Role.policy));
    for (let end = 1; end <= inputs.length; end++) prefixes.add(inputs.subarray(0, end).join(""));
  }
  return prefixes;
}

/** A prefix starts a node when it is a root or its parent has another child. */
function countNodes(prefixes: Set<string>): number {
  const sibling = (prefix: string) => prefix.slice(0, -1) + (prefix.endsWith("0") ? "1" : "0");
  return [...prefixes].filter((prefix) => prefix.length === 1 || prefixes.has(sibling(prefix)))
    .length;
}

/** The cost of the best cut of the order, by trying the first batch's every length. */
function cheapestCut(order: readonly TrainRollout[], maxTokens: number, share: boolean): number {
  const best: number[] = Array.from({ length: order.length + 1 }, () => Infinity);
  best[order.length] = 0;
  for (let first = order.length - 1; first >= 0; first--) {
    for (let end = first + 1; end <= order.length; end++) {
      const batch = order.slice(first, end);
      const tokens = share
        ? distinctPrefixes(batch).size
        : batch.reduce((sum, { roles_L }) => sum + roles_L.lastIndexOf(Role.policy), 0);
      const cost = tokens + BATCH_COST_TOKENS + best[end]!;
      if (tokens <= maxTokens) best[first] = Math.min(best[first]!, cost);
    }
  }
  return best[0]!;
}
