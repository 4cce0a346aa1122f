// A run's policy, to look at: for commands that roll out and do not train. Not for going on with a
// run (open-run.ts).

import { loadRecipe } from "../config/load.ts";
import type { Recipe } from "../config/recipe.ts";
import type { FolderSource } from "../model/byte-source.ts";
import { checkpointFolder } from "./checkpoint-folder.ts";
import { modelFolder } from "./models.ts";
import { Session } from "./session.ts";
import { openWorld } from "./world.ts";

export interface OpenedCheckpoint extends AsyncDisposable {
  /** "base" for the policy before training. */
  readonly stage: string;
  readonly step: number;
  readonly session: Session;
}

/** `spec`: a run's folder, its last checkpoint meant; or `folder@stage2`, or `folder@base`. */
export async function openCheckpoint(
  spec: string,
  overrides: readonly string[] = [],
): Promise<OpenedCheckpoint> {
  const { stage, step, recipe, weights } = checkpointFolder(spec, overrides);
  return { stage, step, ...(await openSession(recipe, weights)) };
}

/** A recipe's policy before any training. */
export async function openRecipe(
  source: string,
  overrides: readonly string[],
): Promise<OpenedCheckpoint> {
  const recipe = loadRecipe({ source, overrides });
  const opened = await openSession(recipe, modelFolder(recipe.policy));
  return { stage: "base", step: 0, ...opened };
}

async function openSession(recipe: Recipe, weights: FolderSource) {
  await using stack = new AsyncDisposableStack();
  const world = await openWorld(recipe);
  stack.use(world.toolbox);
  stack.use(world.scorer);
  const session = stack.use(Session.open(recipe, weights, world));
  const owned = stack.move();
  return { session, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
