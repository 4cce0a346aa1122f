// Which weights a stage is anchored to: those that the KL term holds on to and that adapters are a
// change of. A folder, since a run that goes on reads them from there. Nothing is opened here.

import { resolve } from "node:path";
import { movesAnchor, type Recipe } from "../config/recipe.ts";
import type { Progress } from "../curriculum/progress.ts";
import { stageName } from "../curriculum/stages.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { RunFolder } from "../run/directory.ts";

/** Of the stage with this index. `run`: its folder; `model`: what it began with. */
export function anchorFolder(
  recipe: Recipe,
  run: string,
  stage: number,
  model: FolderSource,
): FolderSource {
  const path = movedAnchor(recipe, run, stage);
  return path === undefined ? model : diskFolder(path);
}

/** For people and for PEFT: of the adapters of a checkpoint at this progress. */
export function adaptersBase(
  recipe: Recipe,
  run: string,
  { stage, stageStep }: Pick<Progress, "stage" | "stageStep">,
): string {
  const learning = stageStep === 0 ? stage - 1 : stage; // at a stage's end they are that stage's
  const path = movedAnchor(recipe, run, learning);
  return path === undefined ? recipe.policy.model : resolve(path);
}

function movedAnchor(recipe: Recipe, run: string, stage: number): string | undefined {
  if (stage === 0 || !movesAnchor(recipe)) return undefined;
  return new RunFolder(run).checkpointPath(stageName(stage - 1));
}
