// The questions of a run: several sources, mixed by weight, with held-out ones that no training
// question repeats. Everything is a function of the files and the request, whatever the seed. Not
// here: reading a source (source.ts), the order of training (curriculum/task-order.ts).

import { isOwnWorld, type OwnWorld } from "../config/data-recipe.ts";
import { UserError } from "../config/errors.ts";
import type { Task } from "../types.ts";
import { contentKey, loadSource, type LoadedSource, type SourceSpec } from "./source.ts";
import { sourceName } from "./source-files.ts";
import { ownWorld } from "./worlds.ts";

export interface MixedSpec extends SourceSpec {
  /** Its share of the questions asked is weight / sum of weights; absent everywhere: by size. */
  readonly weight?: number | undefined;
}
export interface DatasetSpec {
  readonly train: readonly MixedSpec[];
  readonly validation?: readonly MixedSpec[] | undefined;
  /** Questions held out of `train` where there is no `validation`. */
  readonly holdout?: number | undefined;
}

/** The training questions of a source. */
export interface TrainPart {
  readonly name: string;
  readonly tasks: readonly Task[];
  readonly weight: number;
}
export interface Dataset {
  readonly parts: readonly TrainPart[];
  /** Several sources take turns, so that the first n questions are of all of them. */
  readonly validation: readonly Task[];
  readonly sources: readonly LoadedSource[];
  /** Training questions dropped because another source or the validation asks them too. */
  readonly dropped: { readonly repeated: number; readonly heldOut: number };
}

const HOLDOUT = { most: 500, share: 0.1 };

export async function loadDataset(spec: DatasetSpec): Promise<Dataset> {
  const trainSources = await loadAll(spec.train, "train");
  const asks = validationOf(spec);
  const given = await loadAll(asks ?? [], "validation", trainSources.length);
  const all = withoutRepeats(trainSources.map(({ tasks }) => tasks));
  const validation =
    asks === undefined
      ? heldOut(all.flat(), spec.holdout)
      : takingTurns(given.map(({ tasks }) => tasks));
  const asked = new Set(validation.map(questionKey));
  const train = all.map((tasks) => tasks.filter((task) => !asked.has(questionKey(task))));
  requireQuestions(train, spec);
  const total = (lists: readonly (readonly Task[])[]): number => lists.flat().length;
  return {
    parts: train.map((tasks, i) => {
      const weight = spec.train[i]!.weight ?? tasks.length;
      return { name: trainSources[i]!.name, tasks, weight };
    }),
    validation,
    sources: [...trainSources, ...given],
    dropped: {
      repeated: total(trainSources.map(({ tasks }) => tasks)) - total(all),
      heldOut: total(all) - total(train),
    },
  };
}

/** Worlds inside the executable hold questions out by themselves. */
function validationOf({ train, validation, holdout }: DatasetSpec) {
  if (validation !== undefined || holdout !== undefined) return validation;
  const own = new Set(train.map(({ path }) => path));
  return [...own].every(isOwnWorld) ? [...own].map((path) => ({ path })) : undefined;
}

/** One after the other, each under a name of its own. */
export async function loadAll(
  specs: readonly MixedSpec[],
  split: "train" | "validation",
  numBefore = 0,
): Promise<LoadedSource[]> {
  const sources: LoadedSource[] = [];
  for (const spec of specs) {
    const wanted = sourceName(spec);
    const isTaken = sources.some(({ name }) => name === wanted);
    const name = isTaken ? `${wanted}-${numBefore + sources.length + 1}` : wanted;
    const { path } = spec;
    sources.push(isOwnWorld(path) ? ownSource(path, split, spec) : await loadSource(spec, name));
  }
  return sources;
}

function ownSource(
  world: OwnWorld,
  split: "train" | "validation",
  { limit }: MixedSpec,
): LoadedSource {
  const tasks = ownWorld(world)[split].slice(0, limit);
  const counts = {
    rows: tasks.length,
    filtered: 0,
    duplicates: 0,
    leftOut: {},
  };
  return { name: world, files: [], counts, tasks };
}

function withoutRepeats(lists: readonly (readonly Task[])[]): (readonly Task[])[] {
  if (lists.length === 1) return [lists[0]!];
  const seen = new Set<bigint>();
  const isNew = ({ question, golds }: Task): boolean => {
    const key = contentKey(question, golds);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  };
  return lists.map((tasks) => tasks.filter(isNew));
}

/** Chosen by what they ask, so that neither their order nor a seed changes the choice. */
function heldOut(tasks: readonly Task[], holdout: number | undefined): readonly Task[] {
  const tenth = Math.max(1, Math.floor(tasks.length * HOLDOUT.share));
  const count = holdout ?? Math.min(HOLDOUT.most, tenth);
  const keyed = tasks.map((task) => ({ task, key: questionKey(task) }));
  const byKey = keyed.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return byKey.slice(0, count).map(({ task }) => task);
}

function takingTurns(lists: readonly (readonly Task[])[]): readonly Task[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  const rounds = Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? []));
  return rounds.flat();
}

/** What is asked, without regard to case and spacing. */
function questionKey({ question }: Task): bigint {
  return contentKey(question.toLowerCase().replace(/[\s?]+$/, ""), []);
}

function requireQuestions(train: readonly (readonly Task[])[], spec: DatasetSpec): void {
  const empty = train.findIndex(({ length }) => length === 0);
  if (empty < 0) return;
  const hint = "train on other questions than those held out, or hold out fewer (data.holdout)";
  throw new UserError("no training question is left", {
    where: spec.train[empty]!.path,
    hint,
  });
}
