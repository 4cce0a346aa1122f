// What a run learns about: questions to train on, questions held out, demonstrations and the tools.
// Opened from a recipe, before any model is. Not the order of the questions
// (curriculum/task-order.ts), nor whether they fit a context (fit.ts).

import { isOwnWorld } from "../config/data-recipe.ts";
import type { Recipe } from "../config/recipe.ts";
import type { TaskPart } from "../curriculum/task-order.ts";
import { type Dataset, loadDataset } from "../data/dataset.ts";
import { openDemonstrations } from "../data/demonstration-file.ts";
import type { LoadedSource } from "../data/source.ts";
import { ownWorld } from "../data/worlds.ts";
import { requireJudgeable } from "../reward/judgeable.ts";
import { openScorer, type Scorer } from "../reward/scorer.ts";
import { tagProfile } from "../reward/tags.ts";
import type { Toolbox } from "../tools/toolbox.ts";
import type { Demonstration, Task } from "../types.ts";
import { openToolbox } from "./open-tool.ts";
import { toolTags } from "./prompt-model.ts";

export interface World {
  /** The questions of a source lie next to each other. */
  readonly train: readonly Task[];
  readonly parts: readonly TaskPart[];
  readonly validation: readonly Task[];
  readonly demonstrations: readonly Demonstration[];
  readonly toolbox: Toolbox;
  readonly scorer: Scorer;
  /** What was read and what was dropped, a line each; empty for a world inside the executable. */
  readonly notes: readonly string[];
}

/**
 * Throws UserError where data, demonstrations, tools or reward are not what the recipe says. The
 * caller closes toolbox and scorer.
 */
export async function openWorld(recipe: Recipe): Promise<World> {
  const dataset = await loadDataset(recipe.data);
  const { parts, validation } = dataset;
  const train = parts.flatMap(({ tasks }) => tasks);
  requireJudgeable(recipe.reward, [...train, ...validation]);
  const demonstrations = demonstrationsOf(recipe);
  await using stack = new AsyncDisposableStack();
  const toolbox = stack.use(await openToolbox(recipe));
  const scorer = stack.use(await openWorldScorer(recipe, toolbox));
  stack.move();
  return {
    train,
    parts: parts.map(({ tasks, weight }) => taskPart(tasks, weight)),
    validation,
    demonstrations,
    toolbox,
    scorer,
    notes: notesOf(dataset),
  };
}

/** Reads what the recipe's policy writes. */
export function openWorldScorer({ reward, tags }: Recipe, toolbox: Toolbox): Promise<Scorer> {
  return openScorer(reward, tagProfile(tags, toolTags(toolbox)));
}

/** The key is 64 bits of all ids and questions. */
export function taskPart(tasks: readonly Task[], weight: number): TaskPart {
  const texts = tasks.map(({ id, question }) => `${id}\0${question}`);
  const key = Bun.hash(texts.join("\n")).toString(16);
  return { size: tasks.length, weight, key };
}

export function demonstrationsOf({ demonstrations, data }: Recipe): readonly Demonstration[] {
  const own = data.train.map(({ path }) => path).find(isOwnWorld);
  const isOwn = data.train.every(({ path }) => isOwnWorld(path));
  const source = demonstrations ?? (isOwn && own !== undefined ? own : "search");
  if (isOwnWorld(source)) return ownWorld(source).demonstrations;
  return openDemonstrations(source).demonstrations;
}

function notesOf({ sources, dropped: { repeated, heldOut } }: Dataset): string[] {
  const files = sources.filter((source) => source.files.length > 0);
  const more = [
    ...(repeated > 0 ? [`${repeated} training questions are in two sources: kept once`] : []),
    ...(heldOut > 0 ? [`${heldOut} training questions are held out: not trained on`] : []),
  ];
  return [...files.map(sourceNote), ...more];
}

function sourceNote({ name, files, counts, tasks }: LoadedSource): string {
  const { rows, filtered, duplicates, leftOut } = counts;
  const lost = [
    ...(filtered > 0 ? [`${filtered} filtered`] : []),
    ...(duplicates > 0 ? [`${duplicates} repeated`] : []),
    ...Object.entries(leftOut).map(([why, count]) => `${count} left out (${why})`),
  ];
  const from = `${name} (${files[0]!.format}): ${tasks.length} questions of ${rows} rows`;
  return lost.length === 0 ? from : `${from}, ${lost.join(", ")}`;
}
