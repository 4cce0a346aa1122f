// Which branches of a step's trie make a micro-batch together, so that the whole costs least: a
// prefix is computed again in each micro-batch that it must live in, and a micro-batch too large to
// keep its activations computes layers again in its backward. Two answers are compared: the best
// cut of the depth-first order, by dynamic programming, and bins merged from the leaves up, which
// can put branches together that are no neighbours. The first is exact for cuts in order, so
// for chains and for stars of equal branches; finding the best of all is bin packing. Pure; what
// fits and what it costs are a BatchPlanner's. Shape letters: B branches.

import { UserError } from "../config/errors.ts";
import type { Branches } from "./branches.ts";

/** Rows of a micro-batch, the keys that they attend to, summed, and the targets scored. */
export interface BatchLoad {
  readonly tokens: number;
  readonly keys: number;
  readonly targets: number;
}

export interface BatchPlanner {
  /** Layers that a micro-batch computes again, of the first ones; undefined: it does not fit. */
  recomputed(load: BatchLoad): number | undefined;
  /** Of a micro-batch which fits, in any unit. */
  cost(load: BatchLoad): number;
  /** Why a rollout that does not fit alone cannot be trained. */
  refuse(load: BatchLoad): UserError;
}

/** One more micro-batch reads all weights and gradients once more: like so many tokens. */
export const BATCH_COST_TOKENS = 16;

/** Only rows count, and nothing is recomputed but what is said. */
export function tokenPlanner(maxTokens: number, recomputed = 0): BatchPlanner {
  return {
    recomputed: ({ tokens }) => (tokens <= maxTokens ? recomputed : undefined),
    cost: ({ tokens }) => tokens + BATCH_COST_TOKENS,
    refuse: ({ tokens }) => tooManyTokens(tokens, maxTokens),
  };
}

export function tooManyTokens(tokens: number, maxTokens: number): UserError {
  const what = `a rollout of ${tokens} tokens does not fit in a micro-batch of ${maxTokens}`;
  return new UserError(what, { hint: "raise train.max_batch_tokens to at least rollout.context" });
}

/** Indices into the branches, ascending: one list a micro-batch. */
export type Split = readonly (readonly number[])[];

export function splitBranches(branches: Branches, planner: BatchPlanner): Split {
  const inOrder = cutInOrder(branches, planner);
  if (inOrder.length <= 1) return inOrder;
  const merged = mergeUpwards(branches, planner);
  return splitCost(branches, merged, planner) < splitCost(branches, inOrder, planner)
    ? merged
    : inOrder;
}

export function splitCost(branches: Branches, split: Split, planner: BatchPlanner): number {
  return split.reduce((sum, part) => sum + planner.cost(loadOf(branches, part)), 0);
}

/** The branches of a micro-batch as branches of their own. */
export function selectBranches(branches: Branches, part: readonly number[]): Branches {
  const { sources_B, lengths_B, shared_B, targets_B } = branches;
  const shared = part.map((branch, i) => (i === 0 ? 0 : sharedBy(shared_B, part[i - 1]!, branch)));
  return {
    sources_B: Int32Array.from(part, (branch) => sources_B[branch]!),
    lengths_B: Int32Array.from(part, (branch) => lengths_B[branch]!),
    targets_B: Int32Array.from(part, (branch) => targets_B[branch]!),
    shared_B: Int32Array.from(shared),
  };
}

/** Tokens that two branches have in common. */
function sharedBy(shared_B: Int32Array, left: number, right: number): number {
  let least = shared_B[right]!;
  for (let b = left + 1; b < right; b++) least = Math.min(least, shared_B[b]!);
  return least;
}

export function loadOf(branches: Branches, part: readonly number[]): BatchLoad {
  const { lengths_B, shared_B, targets_B } = selectBranches(branches, part);
  return part.reduce(
    (load, _, i) => added(load, pathLoad(shared_B[i]!, lengths_B[i]!, targets_B[i]!)),
    pathLoad(0, 0),
  );
}

/** Tokens at depths [from, to): each attends to all before it and to itself. */
function pathLoad(from: number, to: number, targets = 0): BatchLoad {
  return { tokens: to - from, keys: (to * (to + 1) - from * (from + 1)) / 2, targets };
}

/** `sign` -1 takes away. */
const added = (a: BatchLoad, b: BatchLoad, sign = 1): BatchLoad => ({
  tokens: a.tokens + sign * b.tokens,
  keys: a.keys + sign * b.keys,
  targets: a.targets + sign * b.targets,
});

/** The cheapest cut of the depth-first order into ranges that fit. */
function cutInOrder(branches: Branches, planner: BatchPlanner): Split {
  const { shared_B } = branches;
  const count = shared_B.length;
  const sums = summedLoads(branches);
  const cost = new Float64Array(count + 1).fill(Infinity);
  const start = new Int32Array(count + 1);
  cost[0] = 0;
  for (let end = 1; end <= count; end++) {
    for (let first = end - 1; first >= 0; first--) {
      const own = added(sums[end]!, sums[first]!, -1);
      const load = added(own, pathLoad(0, shared_B[first]!)); // what lies above it, again
      if (planner.recomputed(load) === undefined) break;
      const total = cost[first]! + planner.cost(load);
      if (total < cost[end]!) [cost[end], start[end]] = [total, first];
    }
    if (cost[end] === Infinity) throw planner.refuse(loadOf(branches, [end - 1]));
  }
  return rangesUpTo(count, start);
}

/** Entry b: what the first b branches add to one trie. */
function summedLoads({ lengths_B, shared_B, targets_B }: Branches): readonly BatchLoad[] {
  const sums = [pathLoad(0, 0)];
  lengths_B.forEach((length, b) => {
    sums.push(added(sums[b]!, pathLoad(shared_B[b]!, length, targets_B[b]!)));
  });
  return sums;
}

function rangesUpTo(count: number, start: Int32Array): Split {
  const ranges: number[][] = [];
  for (let end = count; end > 0; end = start[end]!) {
    const first = start[end]!;
    ranges.push(Array.from({ length: end - first }, (_, i) => first + i));
  }
  return ranges.reverse();
}

/** A micro-batch in the making. */
interface Bin {
  readonly parts: readonly number[];
  readonly load: BatchLoad;
}

/**
 * At each fork, deepest first, the bins of its children are merged where that fits and pays: the
 * largest first, into the fullest bin that takes it.
 */
function mergeUpwards(branches: Branches, planner: BatchPlanner): Split {
  const { lengths_B, shared_B, targets_B } = branches;
  const open: { readonly depth: number; bins: Bin[] }[] = []; // forks from the root down
  const close = (depth: number): void => {
    let bins = open.pop()!.bins;
    while (open.length > 0 && open.at(-1)!.depth > depth) {
      const fork = open.pop()!;
      bins = mergeAtFork([...fork.bins, ...bins], fork.depth, planner);
    }
    if (open.length > 0 && open.at(-1)!.depth === depth) open.at(-1)!.bins.push(...bins);
    else open.push({ depth, bins });
  };
  lengths_B.forEach((length, b) => {
    if (b > 0) close(shared_B[b]!);
    const load = pathLoad(0, length, targets_B[b]!);
    open.push({ depth: Infinity, bins: [{ parts: [b], load }] });
  });
  close(-1);
  const all = open.flatMap(({ bins }) => bins);
  return all
    .map(({ parts }) => parts.toSorted((a, b) => a - b))
    .toSorted((a, b) => a[0]! - b[0]!);
}

function mergeAtFork(bins: readonly Bin[], depth: number, planner: BatchPlanner): Bin[] {
  const merged: Bin[] = [];
  for (const bin of bins.toSorted((a, b) => b.load.tokens - a.load.tokens)) {
    const at = fullestThatTakes(merged, bin, depth, planner);
    if (at === undefined) merged.push(bin);
    else merged[at] = mergedBin(merged[at]!, bin, depth);
  }
  return merged;
}

function mergedBin(a: Bin, b: Bin, depth: number): Bin {
  const load = added(added(a.load, b.load), pathLoad(0, depth), -1);
  return { parts: [...a.parts, ...b.parts], load };
}

function fullestThatTakes(
  merged: readonly Bin[],
  bin: Bin,
  depth: number,
  planner: BatchPlanner,
): number | undefined {
  let best: number | undefined;
  merged.forEach((other, at) => {
    if (best !== undefined && other.load.tokens <= merged[best]!.load.tokens) return;
    const { load } = mergedBin(other, bin, depth);
    if (planner.recomputed(load) === undefined) return;
    if (planner.cost(load) < planner.cost(other.load) + planner.cost(bin.load)) best = at;
  });
  return best;
}
