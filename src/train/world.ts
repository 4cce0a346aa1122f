// What a run learns about: tasks to train on, tasks held out, demonstrations and the corpus behind
// the search tool. Opened from a recipe's data section. Not the order of tasks
// (curriculum/task-order.ts).

import type { Recipe } from "../config/recipe.ts";
import { almanac } from "../data/almanac.ts";
import type { Passage } from "../tools/bm25.ts";
import type { Demonstration, Task } from "../types.ts";

export interface World {
  readonly train: readonly Task[];
  readonly validation: readonly Task[];
  readonly demonstrations: readonly Demonstration[];
  readonly passages: readonly Passage[];
}

export function openWorld({ source }: Recipe["data"]): World {
  switch (source) {
    case "almanac":
      return almanac();
  }
}
