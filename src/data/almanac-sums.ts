// The almanac with numbers: each of its entities also has one, and most questions need arithmetic
// over numbers that have to be looked up first, so that a rollout uses two tools. The rest are
// questions of one lookup, so that the second tool is not always right. Split and entities are the
// almanac's.
//   passage   { id: "toll:Norvel", text: "The toll of Norvel is 38." }
//   task      { id: "train/sum-1-17", question: "What is 47 times the toll of Norvel?",
//               golds: ["1786"], meta: { hops: 1, sum: 1 } }

import type { Demonstration, Task } from "../types.ts";
import {
  almanac,
  ALMANAC_SEED,
  almanacHalves,
  type Half,
  type Passage,
  type World,
} from "./almanac.ts";
import { demonstrationOfSum } from "./demonstration.ts";
import { Random } from "./random.ts";
import type { EntityKind } from "./relations.ts";
import { factOf } from "./relations.ts";
import { NUMBER_RELATIONS, randomNumber, randomSum } from "./sums.ts";
import { type Operand, questionOfSum, type Sum, valueOf } from "./sums.ts";

const TRAIN_TASKS = 2400;
const VALIDATION_TASKS = 400;
/** Of the questions: one number to look up, and two. The rest are the almanac's of one hop. */
const ONE_LOOKUP_SHARE = 0.4;
const TWO_LOOKUPS_SHARE = 0.3;

export function almanacSums(seed: number = ALMANAC_SEED): World {
  const halves = almanacHalves(seed);
  const plain = almanac(seed);
  const random = new Random(seed, "almanac numbers");
  const train = numbersOf(halves.train, random);
  const validation = numbersOf(halves.validation, random);
  const shown = [sumOf(train, 2, random), sumOf(train, 1, random)];
  const isShown = ({ question }: Task): boolean =>
    shown.some((sum) => questionOfSum(sum) === question);
  const [, lookedUp] = plain.demonstrations as [Demonstration, Demonstration];
  return {
    passages: random.shuffle([...plain.passages, ...[...train, ...validation].map(passageOf)]),
    train: tasksOf("train", train, plain.train, TRAIN_TASKS, random).filter(
      (task) => !isShown(task),
    ),
    validation: tasksOf("validation", validation, plain.validation, VALIDATION_TASKS, random),
    demonstrations: [
      ...shown.map((sum, i) => demonstrationOfSum(`almanac-sums-${i + 1}`, sum)),
      { ...lookedUp, id: "almanac-sums-3" },
    ],
  };
}

/** A number for each entity of a half. */
function numbersOf({ entities }: Half, random: Random): Required<Operand>[] {
  return Object.entries(entities).flatMap(([kind, subjects]) => {
    const relation = NUMBER_RELATIONS[kind as EntityKind];
    return subjects.map((subject) => ({
      number: randomNumber(random),
      lookup: { relation, subject },
    }));
  });
}

function passageOf({ number, lookup: { relation, subject } }: Required<Operand>): Passage {
  return { id: `${relation.noun}:${subject}`, text: factOf(relation, subject, number) };
}

function tasksOf(
  split: string,
  numbers: readonly Required<Operand>[],
  plain: readonly Task[],
  count: number,
  random: Random,
): Task[] {
  const sums = ([1, 2] as const).flatMap((hops) => {
    const share = hops === 1 ? ONE_LOOKUP_SHARE : TWO_LOOKUPS_SHARE;
    return Array.from({ length: Math.round(share * count) }, (_, i) =>
      taskOf(`${split}/sum-${hops}-${i}`, sumOf(numbers, hops, random), hops),
    );
  });
  const lookups = plain.filter(({ meta }) => meta["hops"] === 1).slice(0, count - sums.length);
  return random.shuffle([
    ...sums,
    ...lookups.map((task) => ({ ...task, meta: { ...task.meta, sum: 0 } })),
  ]);
}

/** `hops`: how many of its numbers have to be looked up. */
function sumOf(numbers: readonly Required<Operand>[], hops: 1 | 2, random: Random): Sum {
  const first = random.pick(numbers);
  const others = (): Required<Operand> => {
    const drawn = random.pick(numbers);
    return drawn === first ? others() : drawn;
  };
  const second: Operand = hops === 2 ? others() : { number: randomNumber(random) };
  const [left, right] = random.shuffle<Operand>([first, second]) as [Operand, Operand];
  return randomSum(random, left, right);
}

function taskOf(id: string, sum: Sum, hops: number): Task {
  const golds = [String(valueOf(sum))];
  return { id, question: questionOfSum(sum), golds, meta: { hops, sum: 1 } };
}
