// trivia_qa, configuration rc (and unfiltered), as on the Hugging Face hub. The columns of evidence
// are not read.
//   {"question": "Which sea does the river Sil flow into?", "question_id": "tc_1",
//    "answer": {"value": "Amber Sea", "aliases": ["Amber Sea", "The Amber Sea"],
//               "normalized_aliases": ["amber sea"], "type": "WikipediaEntity"},
//    "entity_pages": {...}, "search_results": {...}}

import { z } from "zod";
import { defineFormat, distinct, id, RowFault, type RowMeaning, task, text } from "./format.ts";

const strings = z.array(z.string()).nullish();

export const triviaQa = defineFormat({
  name: "trivia_qa",
  shape: '{"question", "answer": {"value", "aliases": [...], "normalized_aliases": [...]}}',
  fields: z.object({
    question_id: id,
    question: text,
    answer: z.object({
      value: z.string().nullish(),
      aliases: strings,
      normalized_aliases: strings,
    }),
  }),
  matches: ({ question, answer }) =>
    question !== undefined && typeof answer === "object" && answer !== null && "aliases" in answer,
  read({ question_id, question, answer }): RowMeaning {
    const { value, aliases, normalized_aliases: normalized } = answer;
    if (value === "<unk>") return { kind: "left_out", why: "the answer is withheld (test split)" };
    const golds = distinct([value ?? "", ...(aliases ?? []), ...(normalized ?? [])]);
    if (golds.length === 0) throw new RowFault("answer: no accepted answer");
    return task(question_id, question, golds);
  },
});
