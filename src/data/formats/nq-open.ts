// nq_open as on the Hugging Face hub: no ids, a list of answers.
//   {"question": "which river runs through orn", "answer": ["Sil", "the Sil"]}

import { z } from "zod";
import { answers, defineFormat, task, text } from "./format.ts";

export const nqOpen = defineFormat({
  name: "nq_open",
  shape: '{"question", "answer": [text, ...]}',
  fields: z.object({ question: text, answer: answers }),
  matches: (row) => "question" in row && !("answers" in row) && Array.isArray(row["answer"]),
  read: ({ question, answer }) => task(undefined, question, answer),
});
