// AIME sets and other problems with a short answer, under either spelling of the columns.
//   {"id": 60, "problem": "Find the number of ...", "solution": "...", "answer": "204",
//    "year": "2024"}
//   {"ID": "2024-II-4", "Problem": "Let $x$ ...", "Solution": "...", "Answer": 33}

import { z } from "zod";
import { answers, defineFormat, id, label, RowFault, task, text } from "./format.ts";

export const aime = defineFormat({
  name: "aime",
  shape: '{"problem" or "Problem", "answer" or "Answer"}',
  fields: z.object({
    id,
    ID: id,
    problem: text.nullish(),
    Problem: text.nullish(),
    answer: answers.nullish(),
    Answer: answers.nullish(),
    year: label,
  }),
  matches: (row) => ("problem" in row || "Problem" in row) && ("answer" in row || "Answer" in row),
  read({ id: rowId, ID, problem, Problem, answer, Answer, year }) {
    const question = problem ?? Problem;
    const golds = answer ?? Answer;
    if (question === null || question === undefined) throw new RowFault("problem: is missing");
    if (golds === null || golds === undefined) throw new RowFault("answer: is missing");
    return task(rowId ?? ID, question, golds, { year });
  },
});
