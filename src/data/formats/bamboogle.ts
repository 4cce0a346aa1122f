// Bamboogle, with its capitals.
//   {"Question": "Who founded the capital of Tel?", "Answer": "Ada Pell"}

import { z } from "zod";
import { answers, defineFormat, task, text } from "./format.ts";

export const bamboogle = defineFormat({
  name: "bamboogle",
  shape: '{"Question", "Answer": text}',
  fields: z.object({ Question: text, Answer: answers }),
  matches: (row) => "Question" in row && "Answer" in row,
  read: ({ Question: question, Answer: golds }) => task(undefined, question, golds),
});
