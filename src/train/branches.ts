// Which rollouts share which prefix. A branch is a rollout's path through the trie; sorted
// lexicographically, branches are in depth-first order, and what each shares with its left
// neighbour says everything about the trie. Not here: which of them make a micro-batch together
// (split.ts), and the trie's rows and segments (trie.ts). Shape letters: B branches.

import { Role, type Rollout } from "../types.ts";

export type TrainRollout = Pick<Rollout, "tokens_L" | "roles_L">;

export interface Branches {
  readonly sources_B: Int32Array; // index of the rollout
  readonly lengths_B: Int32Array; // its input tokens: all before the last policy token
  readonly targets_B: Int32Array; // its policy tokens
  readonly shared_B: Int32Array; // of those, the first so many are the left neighbour's as well
}

export interface SharingOptions {
  /** false: every rollout is a row of its own. */
  readonly share: boolean;
  /** A node that saves fewer tokens than this is given up, its tokens repeated in its branches. */
  readonly minSharedTokens: number;
}

/** Rollouts without a policy token have nothing to train and are no branch. */
export function findBranches(rollouts: readonly TrainRollout[], options: SharingOptions): Branches {
  const lengths = rollouts.map(inputLength);
  const sources = rollouts.map((_, source) => source).filter((source) => lengths[source]! > 0);
  const inputs = rollouts.map(({ tokens_L }, source) =>
    tokens_L.subarray(0, Math.max(0, lengths[source]!)),
  );
  if (options.share) sortByPrefix(sources, inputs);
  const shared_B = new Int32Array(sources.length);
  for (let b = 1; options.share && b < sources.length; b++) {
    shared_B[b] = commonPrefix(inputs[sources[b - 1]!]!, inputs[sources[b]!]!);
  }
  return {
    sources_B: Int32Array.from(sources),
    lengths_B: Int32Array.from(sources, (source) => lengths[source]!),
    targets_B: Int32Array.from(sources, (source) => countTargets(rollouts[source]!)),
    shared_B: giveUpSmallNodes(shared_B, options.minSharedTokens),
  };
}

function inputLength({ tokens_L, roles_L }: TrainRollout): number {
  if (tokens_L.length !== roles_L.length)
    throw new Error("a rollout's tokens and roles differ in length");
  if (roles_L[0] === Role.policy) throw new Error("the first token of a rollout has no context");
  return roles_L.lastIndexOf(Role.policy);
}

function countTargets({ roles_L }: TrainRollout): number {
  let count = 0;
  for (const role of roles_L) if (role === Role.policy) count++;
  return count;
}

/**
 * Any total order of token ids will do that puts a prefix first; comparing bytes is the fastest.
 */
function sortByPrefix(sources: number[], inputs: readonly Int32Array[]): void {
  const bytes = inputs.map((input) =>
    Buffer.from(input.buffer, input.byteOffset, input.byteLength),
  );
  sources.sort((a, b) => Buffer.compare(bytes[a]!, bytes[b]!) || a - b);
}

function commonPrefix(a: Int32Array, b: Int32Array): number {
  const end = Math.min(a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

/**
 * A place where branches part: `gaps` of them, so gaps + 1 branches, share the first `depth`
 * tokens.
 */
interface Fork {
  readonly depth: number;
  gaps: number;
  parent: Fork | undefined;
  kept: number; // depth of the nearest fork that is kept, itself included
}

/**
 * Lowers what neighbours share to the depth of the nearest fork worth keeping. A fork saves its own
 * tokens once for each branch but the first; tokens of a fork that was given up fall to the forks
 * below it.
 */
function giveUpSmallNodes(shared_B: Int32Array, minSharedTokens: number): Int32Array {
  if (minSharedTokens <= 1) return shared_B;
  const forks_B = findForks(shared_B);
  for (const fork of [...new Set(forks_B)].sort((a, b) => a.depth - b.depth)) {
    const above = fork.parent?.kept ?? 0;
    fork.kept = (fork.depth - above) * fork.gaps >= minSharedTokens ? fork.depth : above;
  }
  return shared_B.map((shared, b) => (shared === 0 ? 0 : forks_B[b]!.kept));
}

/** The fork at which each branch leaves its left neighbour (for the first branch: the root). */
function findForks(shared_B: Int32Array): readonly Fork[] {
  const path: Fork[] = []; // from the root down to the last fork
  return Array.from(shared_B, (depth) => {
    let below: Fork | undefined;
    while (path.length > 0 && path.at(-1)!.depth > depth) below = path.pop();
    if (path.at(-1)?.depth !== depth) path.push({ depth, gaps: 0, parent: path.at(-1), kept: 0 });
    const fork = path.at(-1)!;
    fork.gaps++;
    if (below !== undefined) below.parent = fork;
    return fork;
  });
}
