// Random prefix tries for tests, flattened to a batch of the engine, and the same thing as separate
// rows. A second, naive way from rollouts to batches, on purpose unlike src/train/trie.ts.

import fc from "fast-check";
import type { TrieBatch } from "../../ffi/policy.ts";
import { rowsBatch } from "./engine.ts";

export interface TrieNode {
  readonly tokens: readonly number[];
  readonly children: readonly TrieNode[];
}
/** A batch, and for each target the index of the token that it is the logprob of. */
export interface FlatTrie {
  readonly batch: TrieBatch;
  readonly targetTokens_N: readonly number[];
}
/**
 * Every path from a root to a leaf as a row of its own; `trieTokens_R`: the trie's token of each
 * row token.
 */
export interface SeparateRows {
  readonly batch: TrieBatch;
  readonly trieTokens_R: readonly number[];
  readonly targetTokens_N: readonly number[];
}

/** Forests of up to `roots` roots; runs of 1 to `maxRun` tokens; up to 3 branches. */
export function forests(vocab: number, maxRun = 6, roots = 3): fc.Arbitrary<readonly TrieNode[]> {
  const tokens = fc.array(fc.nat(vocab - 1), { minLength: 1, maxLength: maxRun });
  const { node } = fc.letrec<{ node: TrieNode }>((tie) => ({
    node: fc.record({
      tokens,
      children: fc.oneof({ maxDepth: 3 }, fc.constant([]), fc.array(tie("node"), { maxLength: 3 })),
    }),
  }));
  return fc.array(node, { minLength: 1, maxLength: roots });
}

export function flatten(forest: readonly TrieNode[]): FlatTrie {
  const flat = {
    tokens: [],
    positions: [],
    segments: [],
    rows: [],
    ids: [],
    targetTokens: [],
  } as Record<string, number[]>;
  for (const root of forest) visit(root, -1, 0, flat);
  return {
    batch: {
      tokens_T: Int32Array.from(flat.tokens!),
      positions_T: Int32Array.from(flat.positions!),
      segments_S3: Int32Array.from(flat.segments!),
      targetRows_N: Int32Array.from(flat.rows!),
      targetIds_N: Int32Array.from(flat.ids!),
    },
    targetTokens_N: flat.targetTokens!,
  };
}

/** `parent`: the token before the node's first, -1 at a root. */
function visit(
  node: TrieNode,
  parent: number,
  depth: number,
  flat: Record<string, number[]>,
): void {
  const start = flat.tokens!.length;
  const segment = flat.segments!.push(start, start + node.tokens.length, 0) - 1;
  node.tokens.forEach((token, i) => {
    flat.tokens!.push(token);
    flat.positions!.push(depth + i);
    const before = i === 0 ? parent : start + i - 1;
    if (before < 0) return;
    flat.rows!.push(before);
    flat.ids!.push(token);
    flat.targetTokens!.push(start + i);
  });
  const last = flat.tokens!.length - 1;
  for (const child of node.children) visit(child, last, depth + node.tokens.length, flat);
  flat.segments![segment] = flat.tokens!.length;
}

export function separate(forest: readonly TrieNode[]): SeparateRows {
  const { batch } = flatten(forest);
  const rows = paths(batch);
  const targetTokens_N = rows.flatMap((row) => row.slice(1));
  return {
    batch: rowsBatch(rows.map((row) => row.map((t) => batch.tokens_T[t]!))),
    trieTokens_R: rows.flat(),
    targetTokens_N,
  };
}

/** The token indices of every root-to-leaf path, from the segments. */
function paths(batch: TrieBatch): number[][] {
  const segments = Array.from({ length: batch.segments_S3.length / 3 }, (_, s) =>
    batch.segments_S3.subarray(3 * s, 3 * s + 3),
  );
  const leaves = segments.filter(([, endOwn, endSubtree]) => endOwn === endSubtree);
  return leaves.map(([leaf]) => {
    const line = segments.filter(([start, , end]) => start! <= leaf! && leaf! < end!);
    return line.flatMap(([start, endOwn]) =>
      Array.from({ length: endOwn! - start! }, (_, i) => start! + i),
    );
  });
}

/**
 * The trie's coefficients on separate rows: a shared token is a target of several rows, and only
 * the first of them counts.
 */
export function spread(
  rows: SeparateRows,
  trie: FlatTrie,
  coefficients_N: Float64Array,
): Float64Array {
  const left = new Map(trie.targetTokens_N.map((token, n) => [token, coefficients_N[n]!]));
  return Float64Array.from(rows.targetTokens_N, (token) => {
    const coefficient = left.get(token) ?? 0;
    left.delete(token);
    return coefficient;
  });
}
