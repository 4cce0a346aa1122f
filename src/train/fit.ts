// The questions whose prompts leave room for a turn of the policy in the context. A prompt is never
// cut: what does not fit is dropped before the run and counted. Measured at the stage that shows
// most.

import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { chooseDemonstrations, demonstrationsForShots } from "../curriculum/demonstrations.ts";
import type { PromptTemplate } from "../rollout/template.ts";
import type { Demonstration, Task } from "../types.ts";
import type { PromptModel } from "./prompt-model.ts";
import { promptTemplate } from "./prompt-text.ts";
import { taskPart, type World } from "./world.ts";

/** Tokens that a prompt may have. */
export function maxPromptTokens({ rollout }: Recipe): number {
  return rollout.context - rollout.max_turn_tokens;
}

/** The world without questions that don't fit; a note says how many. Throws where none is left. */
export function fittingWorld(recipe: Recipe, world: World, model: PromptModel): World {
  const template = longestTemplate(recipe, world.demonstrations, model);
  const fits = (task: Task): boolean => fitsContext(recipe, template, task.question);
  const lists = partsOf(world).map((tasks) => tasks.filter(fits));
  const validation = world.validation.filter(fits);
  const train = lists.flat();
  const lost = world.train.length + world.validation.length - train.length - validation.length;
  if (lost === 0) return world;
  if (validation.length === 0 || lists.some(({ length }) => length === 0)) {
    throw nothingFits(recipe, template);
  }
  const limit = maxPromptTokens(recipe);
  const note = `${lost} questions dropped: their prompts have more than ${limit} tokens`;
  const parts = world.parts.map(({ weight }, i) => taskPart(lists[i]!, weight));
  return { ...world, train, parts, validation, notes: [...world.notes, note] };
}

export function fitsContext(recipe: Recipe, template: PromptTemplate, question: string): boolean {
  const limit = maxPromptTokens(recipe);
  return template.maxTokens(question) <= limit || template.render(question).numTokens <= limit;
}

/** Of the stages and evaluations, the one with the longest demonstrations. */
export function longestTemplate(
  recipe: Recipe,
  source: readonly Demonstration[],
  model: PromptModel,
): PromptTemplate {
  const { stages, eval: evaluation } = recipe;
  const shown = [
    ...stages.map((stage) => chooseDemonstrations(stage, source)),
    ...evaluation.shots.map((shots) => demonstrationsForShots(shots, stages, source)),
  ];
  const templates = shown.map((each) => promptTemplate(recipe, each, model));
  const length = (template: PromptTemplate): number => template.render("").numTokens;
  return templates.reduce((longest, each) => (length(each) > length(longest) ? each : longest));
}

function partsOf({ train, parts }: World): (readonly Task[])[] {
  let first = 0;
  return parts.map(({ size }) => train.slice(first, (first += size)));
}

function nothingFits(recipe: Recipe, template: PromptTemplate): UserError {
  const tokens = template.render("").numTokens;
  const { context, max_turn_tokens: turn } = recipe.rollout;
  const what =
    `no question fits: the prompt has ${tokens} tokens without one, and a context of ${context} ` +
    `with turns of ${turn} leaves ${maxPromptTokens(recipe)}`;
  return new UserError(what, { where: "rollout.context", hint: "enlarge it, or show fewer demos" });
}
