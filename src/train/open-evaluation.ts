// From a request to an evaluation that is ready to go: whose policy, asked how, about what. Nothing
// is sampled here, and no training data is read where other data is named.

import { isOwnWorld } from "../config/data-recipe.ts";
import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { knowsMoreThanAlmanac } from "../config/tool-recipe.ts";
import { demonstrationsForShots } from "../curriculum/demonstrations.ts";
import { loadAll, loadDataset, type MixedSpec } from "../data/dataset.ts";
import { Random } from "../data/random.ts";
import { sourceName } from "../data/source-files.ts";
import { requireJudgeable } from "../reward/judgeable.ts";
import type { Task } from "../types.ts";
import type { AnswerMode } from "./answer-modes.ts";
import { HELD_OUT_SEED } from "./evaluate.ts";
import { closedToolbox, openToolbox } from "./open-tool.ts";
import { type PolicyAsked, policyAsked } from "./policy-asked.ts";
import { Session } from "./session.ts";
import { demonstrationsOf, openWorldScorer } from "./world.ts";

export interface EvaluationAsked extends PolicyAsked {
  /** Files, globs, `almanac`, names of the recipe's held-out sources; none: what it holds out. */
  readonly data: readonly string[];
  readonly mode: AnswerMode;
  readonly shots: number;
  readonly samples: number;
  /** Questions of each benchmark; absent: as many as the recipe evaluates on. */
  readonly limit: number | undefined;
  /** Of noise, and of the questions drawn where there are more; absent: always the same. */
  readonly seed: number | undefined;
}

/** Questions that are asked under one seed. */
export interface TaskSet {
  readonly name: string;
  readonly tasks: readonly Task[];
  readonly seed: number;
}

export interface OpenedEvaluation extends AsyncDisposable {
  readonly asked: EvaluationAsked;
  /** "base" for a policy before training. */
  readonly stage: string;
  readonly step: number;
  readonly session: Session;
  readonly sets: readonly TaskSet[];
  readonly notes: readonly string[];
}

/** Throws UserError where something asked for is not there. The caller closes it. */
export async function openEvaluation(asked: EvaluationAsked): Promise<OpenedEvaluation> {
  await using stack = new AsyncDisposableStack();
  const { stage, step, recipe, weights } = policyAsked(asked, asked.data.every(isOwnWorld));
  requireDifferentSamples(asked, recipe);
  const demonstrations = demonstrationsOf(recipe);
  demonstrationsForShots(asked.shots, recipe.stages, demonstrations);
  const named = asked.data.length > 0 ? await namedSets(asked, recipe) : undefined;
  const validation = named === undefined ? (await loadDataset(recipe.data)).validation : [];
  const opening = usesTool(asked.mode) ? openToolbox(recipe) : closedToolbox(recipe);
  const toolbox = stack.use(await opening);
  requireJudgeable(recipe.reward, named?.flatMap(({ tasks }) => tasks) ?? validation);
  const scorer = stack.use(await openWorldScorer(recipe, toolbox));
  const parts = { train: [], parts: [], notes: [], validation, demonstrations, toolbox, scorer };
  const session = stack.use(Session.open(recipe, weights, parts));
  const sets = named ?? [heldOutSet(asked, session)];
  const notes = [...session.world.notes, ...notesOf(asked, recipe)];
  const owned = stack.move();
  const close = () => owned.disposeAsync();
  return { asked, stage, step, session, sets, notes, [Symbol.asyncDispose]: close };
}

const usesTool = (mode: AnswerMode): boolean => mode === "icrl" || mode === "rag";

function requireDifferentSamples({ samples }: EvaluationAsked, { eval: settings }: Recipe): void {
  if (samples === 1 || settings.temperature > 0) return;
  const what = `${samples} samples a question would all be the same at temperature 0`;
  throw new UserError(what, { where: "--samples", hint: "set eval.temperature, or take one" });
}

/** The first of them, so that a run's own evaluations can be repeated. */
function heldOutSet({ limit, seed = HELD_OUT_SEED }: EvaluationAsked, session: Session): TaskSet {
  const tasks = session.world.validation.slice(0, limit ?? session.recipe.eval.limit);
  const own = session.recipe.data.train.map(({ path }) => path).find(isOwnWorld);
  return { name: own ?? "held out", tasks, seed };
}

async function namedSets(asked: EvaluationAsked, recipe: Recipe): Promise<TaskSet[]> {
  const { data, limit = recipe.eval.limit, seed = HELD_OUT_SEED } = asked;
  const sources = await loadAll(
    data.map((name) => sourceNamed(name, recipe)),
    "validation",
  );
  return sources.map(({ name, tasks }) => ({
    name,
    tasks: drawn(tasks, limit, new Random(seed, `questions of ${name}`)),
    seed: new Random(seed, `noise of ${name}`).uint32(),
  }));
}

/** A name of the recipe's means the source with all that the recipe says of it. */
function sourceNamed(name: string, { data }: Recipe): MixedSpec {
  const known = data.validation?.find((each) => each.path === name || sourceName(each) === name);
  return known ?? { path: name };
}

/** `limit` of them, any as likely as another, in their order. */
export function drawn(tasks: readonly Task[], limit: number, random: Random): readonly Task[] {
  if (tasks.length <= limit) return tasks;
  const indices = random.shuffle(tasks.map((_, index) => index)).slice(0, limit);
  return indices.toSorted((a, b) => a - b).map((index) => tasks[index]!);
}

function notesOf({ data, mode }: EvaluationAsked, { tool }: Recipe): string[] {
  const isElsewhere = !data.every(isOwnWorld);
  if (!isElsewhere || !usesTool(mode) || Object.values(tool).some(knowsMoreThanAlmanac)) return [];
  const how = "--set tool.search.url=http://host:port/retrieve names a retriever";
  return [`the search tool knows nothing but the almanac: ${how}`];
}
