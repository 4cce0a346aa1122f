// A run's policy, to look at: for commands that roll out and do not train. Not for going on with a
// run (open-run.ts).

import { loadRecipe } from "../config/load.ts";
import { checkpointFolder } from "./checkpoint-folder.ts";
import { modelFolder } from "./models.ts";
import { Session } from "./session.ts";
import { openWorld } from "./world.ts";

export interface OpenedCheckpoint extends Disposable {
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
  const session = Session.open(recipe, weights, await openWorld(recipe));
  return { stage, step, session, [Symbol.dispose]: () => session[Symbol.dispose]() };
}

/** A recipe's policy before any training. */
export async function openRecipe(source: string, overrides: readonly string[]): Promise<Session> {
  const recipe = loadRecipe({ source, overrides });
  return Session.open(recipe, modelFolder(recipe.policy), await openWorld(recipe));
}
