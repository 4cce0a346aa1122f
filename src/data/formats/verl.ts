// verl's Parquet rows, also with FlashRAG's columns beside them (Search-R1's files). The question
// is `question` where there is one, else what the user says in `prompt`, which then holds the
// instructions of whoever made the file, too.
//   {"id": "train_0", "question": "who founded the town of Orn?", "golden_answers": ["Ada Pell"],
//    "data_source": "nq", "prompt": [{"role": "user", "content": "Reason first. Question: ..."}],
//    "ability": "fact-reasoning",
//    "reward_model": {"style": "rule", "ground_truth": {"target": ["Ada Pell"]}},
//    "extra_info": {"index": 0, "split": "train"}}

import { z } from "zod";
import {
  answers,
  defineFormat,
  distinct,
  id,
  label,
  RowFault,
  type RowMeaning,
  task,
  text,
} from "./format.ts";

const verlFields = z.object({
  id,
  question: text.nullish(),
  golden_answers: answers.nullish(),
  data_source: label,
  prompt: z.union([z.string(), z.array(z.object({ role: z.string(), content: z.string() }))], {
    error: "expected a list of {role, content}",
  }),
  reward_model: z.object({ ground_truth: z.unknown() }),
  extra_info: z
    .object({
      index: label,
      split: label,
      question: text.nullish().catch(undefined),
    })
    .nullish(),
});
type VerlRow = z.output<typeof verlFields>;

export const verl = defineFormat({
  name: "verl",
  shape: '{"data_source", "prompt": [{"role", "content"}], "reward_model": {"ground_truth"}, ...}',
  fields: verlFields,
  matches: (row) => "reward_model" in row && "prompt" in row,
  read: readVerl,
});

function readVerl(row: VerlRow): RowMeaning {
  const { extra_info: extra, data_source: source, golden_answers: given } = row;
  const question = row.question ?? extra?.question ?? userText(row.prompt);
  const golds = given ?? targets(row.reward_model.ground_truth);
  return task(row.id ?? extra?.index, question, golds, {
    source,
    split: extra?.split,
  });
}

/** What the last user message says. */
export function userText(prompt: VerlRow["prompt"]): string {
  if (typeof prompt === "string") return prompt.trim();
  const said = prompt.findLast(({ role }) => role === "user")?.content.trim();
  if (said === undefined || said === "") throw new RowFault("prompt: no message of the user");
  return said;
}

/** `{target: [...]}`, `{target: text}`, a list, or the answer itself. */
export function targets(truth: unknown): string[] {
  const value = isTarget(truth) ? truth.target : truth;
  const parsed = answers.safeParse(value);
  if (parsed.success) return distinct(parsed.data);
  throw new RowFault(`reward_model.ground_truth: ${parsed.error.issues[0]!.message}`);
}

function isTarget(value: unknown): value is { readonly target: unknown } {
  return typeof value === "object" && value !== null && "target" in value;
}
