// hotpot_qa as on the Hugging Face hub or as published (`_id`), and 2WikiMultihopQA, which has its
// shape. The paragraphs are not read.
//   {"id": "5a7a0693", "question": "In which land was the founder of Orn born?", "answer": "Tel",
//    "type": "bridge", "level": "hard", "supporting_facts": {...}, "context": {...}}

import { z } from "zod";
import { defineFormat, id, label, type RowMeaning, task, text } from "./format.ts";

export const hotpotQa = defineFormat({
  name: "hotpot_qa",
  shape: '{"id", "question", "answer": text, "type", "level", "supporting_facts", "context"}',
  fields: z.object({
    id,
    _id: id,
    question: text,
    answer: z.string("expected text").nullish(),
    type: label,
    level: label,
    supporting_facts: z.unknown(),
  }),
  matches: (row) => "question" in row && "answer" in row && "supporting_facts" in row,
  read({ id: rowId, _id, question, answer, type, level }): RowMeaning {
    const gold = answer?.trim() ?? "";
    if (gold === "") return { kind: "left_out", why: "the answer is withheld (test split)" };
    return task(rowId ?? _id, question, [gold], { type, level });
  },
});
