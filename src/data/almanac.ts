// The almanac: a small invented world, made from a seed. 2,460 facts as one-sentence passages,
// questions of one and two hops over them, and three worked demonstrations. It is not a benchmark:
// it is the world that the embedded policy is trained in.
//   passage   { id: "writer:Norvel", text: "The writer of Norvel is Kelmar." }
//   task      { id: "validation/writer-guild/Norvel",
//               question: "What is the guild of the writer of Norvel?",
//               golds: ["Tasurik"], meta: { hops: 2 } }
// The split is by entity: the world consists of two halves that share no entity, so no name of a
// held-out question or answer, and none in between, occurs in any training question.

import type { Demonstration, Task } from "../types.ts";
import { FreshNames } from "./names.ts";
import { Random } from "./random.ts";
import type { Chain, EntityKind, Relation } from "./relations.ts";
import { factOf, ONE_HOP, questionOf, RELATIONS, TWO_HOP } from "./relations.ts";
import { demonstrationOf } from "./demonstration.ts";

export interface Passage {
  readonly id: string;
  readonly text: string;
}
/** A world that is made, not read: what a search finds in it, and questions about it. */
export interface World {
  readonly passages: readonly Passage[];
  readonly train: readonly Task[];
  readonly validation: readonly Task[];
  /** In the order in which they are shown; the first one is the longest. */
  readonly demonstrations: readonly Demonstration[];
}
export interface Almanac extends World {
  readonly names: ReadonlySet<string>;
}
/** One of the two halves: its entities by kind, and its facts. */
export interface Half {
  readonly entities: Readonly<Record<EntityKind, readonly string[]>>;
  readonly objects: ReadonlyMap<string, string>; // by factKey
}

const TRAIN_SIZES: Readonly<Record<EntityKind, number>> = {
  person: 384,
  town: 256,
  land: 96,
  book: 240,
  river: 128,
  guild: 128,
};
const VALIDATION_SIZES: Readonly<Record<EntityKind, number>> = {
  person: 96,
  town: 64,
  land: 24,
  book: 60,
  river: 32,
  guild: 32,
};
const VALIDATION_TASKS = 400;
const TRAIN_TASKS = 2400;
const TWO_HOP_SHARE = 0.35;

const factKey = (relation: Relation, subject: string): string => `${relation.noun}:${subject}`;

/** The almanac that comes with the embedded policy; its names occur in no pretraining document. */
export const ALMANAC_SEED = 1;

export interface Halves {
  readonly train: Half;
  readonly validation: Half;
  readonly passages: readonly Passage[];
}

/** The almanac without its questions. */
export function almanacHalves(seed: number = ALMANAC_SEED): Halves {
  const names = new FreshNames(new Random(seed, "almanac names"));
  const random = new Random(seed, "almanac facts");
  const train = buildHalf(names, random, TRAIN_SIZES);
  const validation = buildHalf(names, random, VALIDATION_SIZES);
  const passages = random.shuffle([...passagesOf(train), ...passagesOf(validation)]);
  return { train, validation, passages };
}

export function almanac(seed: number = ALMANAC_SEED): Almanac {
  const { train, validation, passages } = almanacHalves(seed);
  const questions = tasksOf(train, new Random(seed, "almanac train"), TRAIN_TASKS + 3, "train");
  const shown = pickShown(questions);
  return {
    passages,
    train: questions
      .filter((question) => !shown.includes(question))
      .map(({ task }) => task)
      .slice(0, TRAIN_TASKS),
    validation: tasksOf(
      validation,
      new Random(seed, "almanac validation"),
      VALIDATION_TASKS,
      "validation",
    ).map(({ task }) => task),
    demonstrations: shown.map(({ chain, hops }, i) =>
      demonstrationOf(`almanac-${i + 1}`, chain, hops),
    ),
    names: new Set([train, validation].flatMap(({ entities }) => Object.values(entities).flat())),
  };
}

function buildHalf(
  names: FreshNames,
  random: Random,
  sizes: Readonly<Record<EntityKind, number>>,
): Half {
  const draw = (kind: EntityKind): string[] =>
    Array.from({ length: sizes[kind] }, () => names.next());
  const entities = {
    person: draw("person"),
    town: draw("town"),
    land: draw("land"),
    book: draw("book"),
    river: draw("river"),
    guild: draw("guild"),
  };
  const objects = new Map<string, string>();
  for (const relation of RELATIONS)
    for (const subject of entities[relation.subject])
      objects.set(
        factKey(relation, subject),
        random.pick(entities[relation.object].filter((name) => name !== subject)),
      );
  return { entities, objects };
}

function passagesOf({ entities, objects }: Half): Passage[] {
  return RELATIONS.flatMap((relation) =>
    entities[relation.subject].map((subject) => {
      const id = factKey(relation, subject);
      return { id, text: factOf(relation, subject, objects.get(id) as string) };
    }),
  );
}

/** `hops` lists the entity asked about, the one between, and the answer. */
interface Question {
  readonly chain: Chain;
  readonly hops: readonly string[];
  readonly task: Task;
}

function tasksOf(half: Half, random: Random, count: number, split: string): Question[] {
  const all = (chains: readonly Chain[]): Question[] =>
    random.shuffle(
      chains.flatMap((chain) =>
        half.entities[chain[0].subject].map((subject) => ask(half, chain, subject, split)),
      ),
    );
  const twoHop = Math.round(count * TWO_HOP_SHARE);
  return random.shuffle([
    ...all(ONE_HOP).slice(0, count - twoHop),
    ...all(TWO_HOP).slice(0, twoHop),
  ]);
}

function ask({ objects }: Half, chain: Chain, subject: string, split: string): Question {
  const hops = [subject];
  for (const relation of chain)
    hops.push(objects.get(factKey(relation, hops.at(-1) as string)) as string);
  const id = `${split}/${chain.map(({ noun }) => noun).join("-")}/${subject}`;
  const task = {
    id,
    question: questionOf(chain, subject),
    golds: [hops.at(-1) as string],
    meta: { hops: chain.length },
  };
  return { chain, hops, task };
}

/** One question of two hops, then two of one hop, over different relations. */
function pickShown(questions: readonly Question[]): Question[] {
  const shown: Question[] = [];
  const seen = new Set<string>();
  for (const hops of [2, 1, 1]) {
    const next = questions.find(
      ({ chain }) => chain.length === hops && chain.every(({ noun }) => !seen.has(noun)),
    );
    if (next === undefined) throw new Error("the almanac is too small for its demonstrations");
    for (const { noun } of next.chain) seen.add(noun);
    shown.push(next);
  }
  return shown;
}
