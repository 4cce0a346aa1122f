// Rows of the data sets that recipes name, in their real format with invented content. All rows of
// questions have one answer, all problems another; functions are right when they return it.

import { sourceName } from "../../src/data/source-files.ts";
import { jsonl } from "./data-files.ts";

export const ANSWER = "Paris";
export const NUMBER = "42";
/** What every function has to be. */
export const FUNCTION = `def answer():\n    return ${NUMBER}`;

/** Rows of FlashRAG's file of a data set. */
const METADATA: Readonly<Record<string, (index: number) => object>> = {
  nq: () => ({}),
  hotpotqa: (i) => ({
    metadata: {
      type: "bridge",
      level: i % 2 === 0 ? "easy" : "hard",
      supporting_facts: { title: ["Orn", "Tel"], sent_id: [0, 1] },
      context: { title: ["Orn"], sentences: [["Orn lies on the Sil.", "It is old."]] },
    },
  }),
};

/** Rows of problems and of functions to write. */
const ROWS: Readonly<Record<string, (index: number) => object>> = {
  "dapo-math-17k": (i) => ({
    data_source: "math_dapo",
    ability: "MATH",
    prompt: [
      {
        role: "user",
        content:
          "Solve the following math problem step by step. The last line is the answer.\n\n" +
          `What is ${i} plus ${Number(NUMBER) - i}?\n\n` +
          'Remember to put your answer on its own line after "Answer:".',
      },
    ],
    reward_model: { ground_truth: NUMBER, style: "rule-lighteval/MATH_v2" },
    extra_info: { index: `row-${i}` },
  }),
  aime24: (i) => ({ ID: `2024-I-${i}`, Problem: `Find $${i}+x$.`, Solution: "", Answer: 42 }),
  aime25: (i) => ({ problem: `Find $${i}-x$.`, answer: NUMBER, id: i }),
  mbpp: (i) => ({
    task_id: i,
    text: `Write a function to return the answer, number ${i}.`,
    code: FUNCTION,
    test_list: [`assert answer() == ${NUMBER}`, "assert answer() > 0"],
    test_setup_code: "",
    challenge_test_list: [],
  }),
  humaneval: (i) => ({
    task_id: `HumanEval/${i}`,
    prompt: `def answer():\n    """The answer, number ${i}."""\n`,
    canonical_solution: `    return ${NUMBER}\n`,
    test: `def check(candidate):\n    assert candidate() == ${NUMBER}\n`,
    entry_point: "answer",
  }),
};

/** The text of the file that a recipe names, as data/nq/train.jsonl. Throws for what is not here. */
export function questionFile(path: string, count: number): string {
  const [set = "", split = ""] = sourceName({ path }).split("/").slice(-2);
  const row = ROWS[split] ?? ROWS[set] ?? questionRow(set, split);
  if (row === undefined) throw new Error(`no rows like those of ${path} here: add them`);
  return jsonl(Array.from({ length: count }, (_, i) => row(i)));
}

function questionRow(set: string, split: string): ((index: number) => object) | undefined {
  const metadata = METADATA[set];
  if (metadata === undefined) return undefined;
  return (i) => ({
    id: `${split}_${i}`,
    question: `what is the capital of ${set} ${split} ${i}`,
    golden_answers: [ANSWER],
    ...metadata(i),
  });
}
