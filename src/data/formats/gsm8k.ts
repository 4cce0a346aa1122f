// GSM8K: the answer is a worked solution whose last line holds the number.
//   {"question": "Ada has 3 boxes of 14 nails. How many nails has she?",
//    "answer": "She has 3 * 14 = <<3*14=42>>42 nails.\n#### 42"}

import { z } from "zod";
import { defineFormat, RowFault, task, text } from "./format.ts";

const finalLine = /####\s*([^\n]+?)\s*$/;

export const gsm8k = defineFormat({
  name: "gsm8k",
  shape: '{"question", "answer": "...\\n#### 42"}',
  fields: z.object({ question: text, answer: text }),
  matches: ({ question, answer }) =>
    question !== undefined && typeof answer === "string" && finalLine.test(answer),
  read({ question, answer }) {
    const number = finalLine.exec(answer)?.[1];
    if (number === undefined) throw new RowFault('answer: does not end in "#### number"');
    return task(undefined, question, [number.replaceAll(/(?<=\d),(?=\d)/g, "")]);
  },
});
