// Whether the tasks of a run have what its reward needs, before anything is sampled.

import { UserError } from "../config/errors.ts";
import type { RewardRecipe } from "../config/reward-recipe.ts";
import type { Task } from "../types.ts";
import { profileOf } from "./profiles.ts";

/** Throws UserError. A reward file decides for itself what it needs, unless tests are asked for. */
export function requireJudgeable(recipe: RewardRecipe, tasks: readonly Task[]): void {
  const { accuracy, name } = profileOf(recipe);
  const asked = `reward profile ${name} with accuracy ${accuracy}`;
  if (accuracy === "tests") {
    const hint = "tests come with HumanEval and MBPP rows";
    refuse(tasks, ({ tests }) => tests === undefined, `no tests, which ${asked} runs`, hint);
  } else if (recipe.file === undefined) {
    const hint = "for code: --set reward.profile=code";
    refuse(
      tasks,
      ({ golds }) => golds.length === 0,
      `no accepted answer, which ${asked} needs`,
      hint,
    );
  }
}

function refuse(
  tasks: readonly Task[],
  lacks: (task: Task) => boolean,
  what: string,
  hint: string,
): void {
  const lacking = tasks.filter(lacks);
  if (lacking.length === 0) return;
  const count = `${lacking.length} of ${tasks.length} questions`;
  throw new UserError(`${count} have ${what}`, { where: `the first: ${lacking[0]!.id}`, hint });
}
