// The prompts of a step as a stage of the recipe will show them: real demonstrations, and the
// questions of the first step.

import type { Recipe } from "../../config/recipe.ts";
import { chooseDemonstrations } from "../../curriculum/demonstrations.ts";
import { TaskOrder, type TaskPart } from "../../curriculum/task-order.ts";
import type { Demonstration, Task } from "../../types.ts";
import type { PromptModel } from "../prompt-model.ts";
import { promptTemplate } from "../prompt-text.ts";
import { promptsOf, type StepPrompts } from "./step-shape.ts";

export interface Questions {
  readonly train: readonly Task[];
  readonly parts: readonly TaskPart[];
}

/** A function of the stage's index. */
export function stagePrompts(
  recipe: Recipe,
  { train, parts }: Questions,
  demonstrations: readonly Demonstration[],
  model: PromptModel,
): (stageIndex: number) => StepPrompts {
  const first = new TaskOrder(parts, recipe.seed).next(recipe.rollout.prompts_per_step);
  const questions = first.map((index) => train[index]!.question);
  return (stageIndex) => {
    const shown = chooseDemonstrations(recipe.stages[stageIndex]!, demonstrations);
    const template = promptTemplate(recipe, shown, model);
    return promptsOf(questions.map((question) => joined(template.render(question).runs)));
  };
}

const joined = (runs: readonly Int32Array[]): Int32Array =>
  Int32Array.from(runs.flatMap((run) => [...run]));
