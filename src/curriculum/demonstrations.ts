// Which demonstrations a prompt shows, and in what order. Pure; they come from the data source.

import { suggestion, UserError } from "../config/errors.ts";
import type { StageRecipe } from "../config/recipe.ts";
import type { Demonstration } from "../types.ts";

type Choice = Pick<StageRecipe, "shots" | "demos">;

/** The first `shots` of the named ones, or of the source where none are named. */
export function chooseDemonstrations(
  { shots, demos }: Choice,
  source: readonly Demonstration[],
): readonly Demonstration[] {
  const pool = demos === undefined ? source : demos.map((id) => demonstrationById(id, source));
  if (pool.length >= shots) return pool.slice(0, shots);
  const what = `${shots} demonstrations are wanted and there are ${pool.length}`;
  throw new UserError(what, { where: "shots" });
}

/** For an evaluation: what the stage with that many shots shows, else the first of the source. */
export function demonstrationsForShots(
  shots: number,
  stages: readonly Choice[],
  source: readonly Demonstration[],
): readonly Demonstration[] {
  return chooseDemonstrations(stages.find((stage) => stage.shots === shots) ?? { shots }, source);
}

function demonstrationById(id: string, source: readonly Demonstration[]): Demonstration {
  const found = source.find((demonstration) => demonstration.id === id);
  if (found !== undefined) return found;
  const hint = suggestion(
    id,
    source.map((demonstration) => demonstration.id),
  );
  throw new UserError(`unknown demonstration "${id}"`, { where: "demos", hint });
}
