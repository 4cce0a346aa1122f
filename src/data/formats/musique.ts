// MuSiQue as published. The paragraphs are not read; questions made unanswerable are left out.
//   {"id": "2hop__12_34", "question": "Where was the founder of Orn born?", "answer": "Tel",
//    "answer_aliases": ["Land of Tel"], "answerable": true, "question_decomposition": [...],
//    "paragraphs": [...]}

import { z } from "zod";
import { defineFormat, distinct, id, type RowMeaning, task, text } from "./format.ts";

export const musique = defineFormat({
  name: "musique",
  shape: '{"id", "question", "answer": text, "answer_aliases": [...], "answerable"}',
  fields: z.object({
    id,
    question: text,
    answer: text.nullish(),
    answer_aliases: z.array(z.string()).nullish(),
    answerable: z.boolean().nullish(),
  }),
  matches: (row) => "question" in row && "answer_aliases" in row,
  read({ id: rowId, question, answer, answer_aliases: aliases, answerable }): RowMeaning {
    if (answerable === false) return { kind: "left_out", why: "not answerable" };
    if (answer === null || answer === undefined) {
      return { kind: "left_out", why: "the answer is withheld (test split)" };
    }
    const hops = /^(\d)hop/.exec(rowId ?? "")?.[1];
    const golds = distinct([answer, ...(aliases ?? [])]);
    return task(rowId, question, golds, hops === undefined ? {} : { hops: Number(hops) });
  },
});
