// MBPP, as published and sanitized: a task in words and assertions. The question shows the first
// assertion, which names the function; the others are not shown, so that they cannot be learned by
// heart. `challenge_test_list` is not used, as in the published figures.
//   {"task_id": 1, "text": "Write a function to double a number.", "code": "def twice(n): ...",
//    "test_list": ["assert twice(2) == 4", "assert twice(-1) == -2"], "test_setup_code": "",
//    "challenge_test_list": []}
//   sanitized: {"task_id", "prompt", "code", "test_imports": ["import math"], "test_list"}

import { z } from "zod";
import { defineFormat, id, RowFault, type RowMeaning, text } from "./format.ts";

const code = z.string({ error: "expected code" });

export const mbpp = defineFormat({
  name: "mbpp",
  shape: '{"task_id", "text" or "prompt", "code", "test_list": ["assert ...", ...]}',
  fields: z.object({
    task_id: id,
    text: text.nullish(),
    prompt: text.nullish(),
    code: code.nullish(),
    test_list: z.array(code).min(1, "holds no test"),
    test_setup_code: code.nullish(),
    test_imports: z.array(code).nullish(),
  }),
  matches: (row) => "test_list" in row && ("text" in row || "prompt" in row),
  read({ task_id: rowId, text: words, prompt, code: solution, ...tests }): RowMeaning {
    const asked = words ?? prompt;
    if (asked === null || asked === undefined) throw new RowFault("text: is missing");
    const asserts = tests.test_list;
    const setup = [...(tests.test_imports ?? []), tests.test_setup_code ?? ""].join("\n").trim();
    return {
      kind: "task",
      id: rowId ?? undefined,
      question: `${asked}\nIt has to pass: ${asserts[0]!.trim()}\nWhat is the code?`,
      golds: solution === null || solution === undefined ? [] : [solution],
      tests: { kind: "mbpp", setup, asserts },
    };
  },
});
