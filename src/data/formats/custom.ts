// Your own rows: a question and what is accepted as its answer.
//   {"question": "Which river runs through Orn?", "answer": "Sil"}
//   {"id": 7, "question": "Who founded Orn?", "answers": ["Ada Pell", "Pell"]}

import { z } from "zod";
import { answers, defineFormat, id, RowFault, task, text } from "./format.ts";

export const custom = defineFormat({
  name: "custom",
  shape: '{"question", "answer": text} or {"question", "answers": [text, ...]}',
  fields: z.object({
    id,
    question: text,
    answer: answers.nullish(),
    answers: answers.nullish(),
  }),
  matches: (row) => "question" in row && ("answer" in row || "answers" in row),
  read({ id: rowId, question, answer, answers: several }) {
    const golds = [...new Set([...(answer ?? []), ...(several ?? [])])];
    if (golds.length === 0) throw new RowFault("answer: no accepted answer");
    return task(rowId, question, golds);
  },
});
