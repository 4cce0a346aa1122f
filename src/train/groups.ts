// From scored groups to what an update trains on: advantages, groups that teach nothing left out,
// and the split of a step into several updates. Pure.

import type { Group } from "../types.ts";
import { groupAdvantages, type AdvantageOptions } from "./advantage.ts";
import type { WeighedRollout } from "./update.ts";

/** A group with the advantage of each of its samples. */
export interface WeighedGroup {
  readonly group: Group;
  readonly advantages_G: Float64Array;
  /** All rewards are equal: it is counted and not trained on. */
  readonly zeroVariance: boolean;
}

export function weighGroups(groups: readonly Group[], options: AdvantageOptions): WeighedGroup[] {
  requireUniqueIds(groups);
  return groups.map((group) => {
    const rewards_G = group.samples.map(({ reward }) => reward.total);
    return { group, ...groupAdvantages(rewards_G, options) };
  });
}

/** At most `numUpdates` lists of whole groups, as even as they come; no list is empty. */
export function splitIntoUpdates(
  weighed: readonly WeighedGroup[],
  numUpdates: number,
): WeighedRollout[][] {
  const useful = weighed.filter(({ zeroVariance }) => !zeroVariance);
  const cuts = Array.from({ length: numUpdates + 1 }, (_, cut) =>
    Math.round((cut * useful.length) / numUpdates),
  );
  const lists = cuts.slice(1).map((end, index) => useful.slice(cuts[index], end));
  return lists.filter((list) => list.length > 0).map((list) => list.flatMap(weighedRollouts));
}

function weighedRollouts({ group, advantages_G }: WeighedGroup): WeighedRollout[] {
  return group.samples.map(({ rollout }, index) => ({ rollout, advantage: advantages_G[index]! }));
}

/**
 * Two groups under one id would be normalised as if they were one: the advantage would be wrong
 * without a sign of it.
 */
function requireUniqueIds(groups: readonly Group[]): void {
  const seen = new Set<string>();
  for (const { id } of groups) {
    if (seen.has(id)) throw new Error(`two groups of a step have the id ${id}`);
    seen.add(id);
  }
}
