// Arithmetic alone: questions that say all their numbers, for a Python tool and nothing else.
//   task  { id: "validation/17", question: "What is 47 times 38 minus 60?",
//           golds: ["1726"], meta: { hops: 2 } }
// `hops` counts the operations. No question of one split is asked in the other.

import type { Task } from "../types.ts";
import { ALMANAC_SEED, type World } from "./almanac.ts";
import { demonstrationOfSum } from "./demonstration.ts";
import { Random } from "./random.ts";
import { questionOfSum, randomNumber, randomSum, type Sum, valueOf } from "./sums.ts";

const TRAIN_TASKS = 2400;
const VALIDATION_TASKS = 400;

export function sumWorld(seed: number = ALMANAC_SEED): World {
  const random = new Random(seed, "sums");
  const asked = new Set<string>();
  const draw = (test: (sum: Sum) => boolean = () => true): Sum => {
    for (;;) {
      const operand = () => ({ number: randomNumber(random) });
      const sum = randomSum(random, operand(), operand());
      if (!test(sum) || asked.has(questionOfSum(sum))) continue;
      asked.add(questionOfSum(sum));
      return sum;
    }
  };
  const shown = [2, 1, 2].map((operations) =>
    draw(({ operators }) => operators.length === operations),
  );
  const tasks = (split: string, count: number): Task[] =>
    Array.from({ length: count }, (_, i) => taskOf(`${split}/${i + 1}`, draw()));
  return {
    passages: [],
    validation: tasks("validation", VALIDATION_TASKS),
    train: tasks("train", TRAIN_TASKS),
    demonstrations: shown.map((sum, i) => demonstrationOfSum(`sums-${i + 1}`, sum)),
  };
}

function taskOf(id: string, sum: Sum): Task {
  const meta = { hops: sum.operators.length };
  return { id, question: questionOfSum(sum), golds: [String(valueOf(sum))], meta };
}
