// DAPO-Math-17k and its AIME companions: verl's shape around a problem that stands between two
// fixed paragraphs of instructions. 1.79 million rows, about 17.9 thousand of them distinct, so
// they have to be deduplicated. The instructions are taken off: the recipe has its own.
//   {"data_source": "math_dapo", "ability": "MATH",
//    "prompt": [{"role": "user", "content": "Solve the following math problem step by step. The
//      ...\n\nHow many nails are in 3 boxes of 14?\n\nRemember to put your answer on its ..."}],
//    "reward_model": {"ground_truth": "42", "style": "rule-lighteval/MATH_v2"},
//    "extra_info": {"index": "0b5c9c9e-4f1e-4c8e-9a57-2f6f1d0c7a11"}}

import { z } from "zod";
import { defineFormat, label, RowFault, task } from "./format.ts";
import { targets, userText } from "./verl.ts";

const before = /^Solve the following math problem step by step\.[^\n]*\n+/;
const after = /\n+Remember to put your answer on its own line[^\n]*$/;

export const dapoMath = defineFormat({
  name: "dapo-math",
  shape: '{"prompt": [{"role", "content"}], "reward_model": {"ground_truth"}, "extra_info"}',
  fields: z.object({
    data_source: label,
    prompt: z.array(z.object({ role: z.string(), content: z.string() })),
    reward_model: z.object({ ground_truth: z.unknown() }),
    extra_info: z.object({ index: label }).nullish(),
  }),
  matches: (row) => "reward_model" in row && isWrapped(row["prompt"]),
  read({ prompt, reward_model, extra_info, data_source }) {
    const problem = userText(prompt).replace(before, "").replace(after, "").trim();
    if (problem === "") throw new RowFault("prompt: no problem between the instructions");
    const golds = targets(reward_model.ground_truth);
    return task(extra_info?.index, problem, golds, { source: data_source });
  },
});

function isWrapped(prompt: unknown): boolean {
  const first = Array.isArray(prompt) ? (prompt.at(-1) as { content?: unknown } | null) : undefined;
  return typeof first?.content === "string" && before.test(first.content.trim());
}
