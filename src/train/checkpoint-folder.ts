// Which model folder a person means by "runs/nano@stage2". Not opening it: open-checkpoint.ts.

import { join } from "node:path";
import { parseRecipe } from "../config/load.ts";
import type { Recipe } from "../config/recipe.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { RunFolder, splitRunSpec } from "../run/directory.ts";
import { latestCheckpoint } from "./checkpoint.ts";
import { modelFolder } from "./models.ts";

export interface CheckpointFolder {
  /** "base" for the policy before training. */
  readonly stage: string;
  readonly step: number;
  readonly recipe: Recipe;
  readonly weights: FolderSource;
}

/** `spec`: a run's folder, its last checkpoint meant; or `folder@stage2`, or `folder@base`. */
export function checkpointFolder(
  spec: string,
  overrides: readonly string[] = [],
): CheckpointFolder {
  const { path, checkpoint: name } = splitRunSpec(spec);
  const run = new RunFolder(path);
  const recipe = parseRecipe(run.recipeText(), join(path, "recipe.yaml"), overrides);
  const found = name === "base" ? undefined : latestCheckpoint(run, name);
  const weights = found === undefined ? modelFolder(recipe.policy) : diskFolder(found.path);
  return { stage: found?.name ?? "base", step: found?.state.progress.step ?? 0, recipe, weights };
}
