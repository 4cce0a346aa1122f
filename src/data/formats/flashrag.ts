// FlashRAG JSONL: nq, triviaqa, popqa, hotpotqa, 2wikimultihopqa, musique, bamboogle in one shape.
//   {"id": "train_0", "question": "which town has the oldest lighthouse on lake Orn",
//    "golden_answers": ["Pell Harbor", "Pell Harbour"], "metadata": {"type": "bridge"}}

import { z } from "zod";
import { answers, defineFormat, id, label, task, text } from "./format.ts";

export const flashrag = defineFormat({
  name: "flashrag",
  shape: '{"id", "question", "golden_answers": [text, ...], "metadata"}',
  fields: z.object({
    id,
    question: text,
    golden_answers: answers,
    metadata: z.object({ type: label, level: label }).nullish(),
  }),
  matches: (row) => "question" in row && "golden_answers" in row,
  read: ({ id: rowId, question, golden_answers: golds, metadata }) =>
    task(rowId, question, golds, {
      type: metadata?.type,
      level: metadata?.level,
    }),
});
