// Packs the rollouts of a step into micro-batches, each a prefix trie in depth-first order: a
// prefix that several rollouts have in common is computed once in each micro-batch it lives in,
// across groups as within one. The format is the engine's (ffi/icrl.h); which rollouts share and go
// together is decided in branches.ts and split.ts. Shape letters: T rows (distinct tokens), S
// segments (trie nodes), N targets (policy tokens), B branches.

import type { TrieBatch } from "../../ffi/policy.ts";
import { Role } from "../types.ts";
import { findBranches, type Branches, type TrainRollout } from "./branches.ts";
import { type BatchPlanner, loadOf, selectBranches, splitBranches, tokenPlanner } from "./split.ts";

export interface TrainBatch extends TrieBatch {
  readonly sources_N: Int32Array; // the rollout of each target, as an index into what was packed
  readonly offsets_N: Int32Array; // its place in that rollout's tokens
  readonly rowTokens: number; // rows that the same rollouts would take without sharing
  readonly distinctTokens: number; // T
  readonly recomputed: number; // layers of which only the inputs are kept, the first ones
}

/** What fits in a micro-batch: so many rows, or what a planner says. */
export type BatchLimit = { readonly maxTokens: number } | { readonly planner: BatchPlanner };

export type BatchOptions = BatchLimit & SharingChoice;

export interface SharingChoice {
  /**
   * A shared run that saves fewer rows than this is repeated in its branches instead. Default 1:
   * share everything.
   */
  readonly minSharedTokens?: number;
  /** false: plain rows, nothing shared. Default true. */
  readonly share?: boolean;
}

/**
 * Every policy token of every rollout is a target of exactly one batch; a rollout lies in one batch
 * whole. Tokens after which nothing is scored (a rollout's last policy token and what follows it)
 * are no rows.
 */
export function buildBatches(
  rollouts: readonly TrainRollout[],
  options: BatchOptions,
): readonly TrainBatch[] {
  const { minSharedTokens = 1, share = true } = options;
  const planner = "planner" in options ? options.planner : tokenPlanner(options.maxTokens);
  const branches = findBranches(rollouts, { share, minSharedTokens });
  return splitBranches(branches, planner).map((part) => {
    const recomputed = planner.recomputed(loadOf(branches, part))!;
    return { ...pack(rollouts, selectBranches(branches, part)), recomputed };
  });
}

/** The value of each target, from one array over tokens for each rollout. */
export function gatherTargets(
  batch: Pick<TrainBatch, "sources_N" | "offsets_N">,
  values_L: readonly ArrayLike<number>[],
): Float64Array {
  return Float64Array.from(batch.sources_N, (source, n) => values_L[source]![batch.offsets_N[n]!]!);
}

/** All branches in one batch. */
function pack(
  rollouts: readonly TrainRollout[],
  branches: Branches,
): Omit<TrainBatch, "recomputed"> {
  const packing = openPacking(branches);
  branches.sources_B.forEach((source, b) => {
    const shared = branches.shared_B[b]!;
    closeNodes(packing, shared);
    addRows(packing, rollouts[source]!.tokens_L, shared, branches.lengths_B[b]!);
    addTargets(packing, rollouts[source]!, source);
  });
  closeNodes(packing, 0);
  const { path: _, segments, row: distinctTokens, target: __, ...arrays } = packing;
  segments.sort((a, b) => a[0] - b[0]);
  return { ...arrays, segments_S3: Int32Array.from(segments.flat()), distinctTokens };
}

/** A node whose subtree still grows. Its own tokens are rows [row, row + endDepth - startDepth). */
interface OpenNode {
  readonly row: number;
  readonly startDepth: number;
  endDepth: number;
}
type Segment = readonly [start: number, endOwn: number, endSubtree: number];

interface Packing {
  readonly tokens_T: Int32Array;
  readonly positions_T: Int32Array;
  readonly targetRows_N: Int32Array;
  readonly targetIds_N: Int32Array;
  readonly sources_N: Int32Array;
  readonly offsets_N: Int32Array;
  readonly rowTokens: number;
  readonly segments: Segment[];
  readonly path: OpenNode[]; // from a root to the last branch, depth by depth
  row: number; // filled so far
  target: number;
}

function openPacking({ lengths_B, shared_B, targets_B }: Branches): Packing {
  const numTargets = sum(targets_B);
  const rowTokens = sum(lengths_B);
  const repeated = sum(shared_B);
  return {
    tokens_T: new Int32Array(rowTokens - repeated),
    positions_T: new Int32Array(rowTokens - repeated),
    targetRows_N: new Int32Array(numTargets),
    targetIds_N: new Int32Array(numTargets),
    sources_N: new Int32Array(numTargets),
    offsets_N: new Int32Array(numTargets),
    rowTokens,
    segments: [],
    path: [],
    row: 0,
    target: 0,
  };
}

const sum = (values: Int32Array): number => values.reduce((total, value) => total + value, 0);

/**
 * Leaves the path at `depth`: nodes below it are complete, and one that reaches beyond it is cut in
 * two there.
 */
function closeNodes({ path, segments, row }: Packing, depth: number): void {
  while (path.length > 0 && path.at(-1)!.startDepth >= depth) {
    const node = path.pop()!;
    segments.push([node.row, node.row + node.endDepth - node.startDepth, row]);
  }
  const last = path.at(-1);
  if (last === undefined || last.endDepth <= depth) return;
  const start = last.row + depth - last.startDepth;
  segments.push([start, start + last.endDepth - depth, row]);
  last.endDepth = depth;
}

/**
 * Appends the branch's own tokens [shared, length): to the last node where that has no child yet,
 * else as a new node.
 */
function addRows(packing: Packing, tokens_L: Int32Array, shared: number, length: number): void {
  if (length === shared) return;
  const { path, row } = packing;
  packing.tokens_T.set(tokens_L.subarray(shared, length), row);
  for (let depth = shared; depth < length; depth++) {
    packing.positions_T[row + depth - shared] = depth;
  }
  packing.row += length - shared;
  const last = path.at(-1);
  const isChildless = last !== undefined && last.row + last.endDepth - last.startDepth === row;
  if (isChildless) last.endDepth = length;
  else path.push({ row, startDepth: shared, endDepth: length });
}

/** A policy token is scored at the row of the token before it, which lies on the path. */
function addTargets(packing: Packing, { tokens_L, roles_L }: TrainRollout, source: number): void {
  for (const node of packing.path) {
    const toRow = node.row - node.startDepth - 1;
    for (let offset = node.startDepth + 1; offset <= node.endDepth; offset++) {
      if (roles_L[offset] !== Role.policy) continue;
      const n = packing.target++;
      packing.targetRows_N[n] = offset + toRow;
      packing.targetIds_N[n] = tokens_L[offset]!;
      packing.sources_N[n] = source;
      packing.offsets_N[n] = offset;
    }
  }
}
