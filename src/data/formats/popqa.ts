// PopQA: the accepted answers are a JSON list inside a string.
//   {"id": 4222362, "subj": "Orn", "prop": "capital of", "obj": "Tel",
//    "question": "What is Orn the capital of?", "possible_answers": "[\"Tel\", \"Land of Tel\"]"}

import { z } from "zod";
import { answers, defineFormat, id, label, RowFault, task, text } from "./format.ts";

export const popQa = defineFormat({
  name: "popqa",
  shape: '{"id", "question", "prop", "possible_answers": "[\\"text\\", ...]"}',
  fields: z.object({
    id,
    question: text,
    prop: label,
    possible_answers: z.unknown(),
  }),
  matches: (row) => "question" in row && "possible_answers" in row,
  read: ({ id: rowId, question, prop, possible_answers: possible }) =>
    task(rowId, question, listOf(possible), { prop }),
});

function listOf(possible: unknown): string[] {
  const list = typeof possible === "string" ? parseList(possible) : possible;
  const parsed = answers.safeParse(list);
  if (parsed.success) return parsed.data;
  throw new RowFault(`possible_answers: ${parsed.error.issues[0]!.message}`);
}

function parseList(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new RowFault("possible_answers: not a JSON list");
  }
}
