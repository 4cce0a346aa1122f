// The worlds inside the executable, by the name that a recipe's data has for them.

import type { OwnWorld } from "../config/data-recipe.ts";
import { almanac, type Passage, type World } from "./almanac.ts";
import { almanacSums } from "./almanac-sums.ts";
import { sumWorld } from "./sum-world.ts";

export function ownWorld(name: OwnWorld): World {
  switch (name) {
    case "almanac":
      return almanac();
    case "sums":
      return sumWorld();
    case "almanac-sums":
      return almanacSums();
  }
}

/** What a search finds in several worlds: each passage once. */
export function ownPassages(names: readonly OwnWorld[]): readonly Passage[] {
  const passages = names.flatMap((name) => ownWorld(name).passages);
  return [...new Map(passages.map((passage) => [passage.id, passage])).values()];
}
