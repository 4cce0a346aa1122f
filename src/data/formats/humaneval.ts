// HumanEval: a function to complete, and a program that checks it. The question asks for the
// prompt as it is; tests stay out of it. An answer is either the whole function or what follows
// the prompt.
//   {"task_id": "Own/0", "prompt": "def twice(n: int) -> int:\n    \"\"\"Two times n.\"\"\"\n",
//    "entry_point": "twice", "canonical_solution": "    return 2 * n\n",
//    "test": "def check(candidate):\n    assert candidate(2) == 4\n"}

import { z } from "zod";
import { type RowMeaning, defineFormat, id, RowFault } from "./format.ts";

const code = z.string({ error: "expected code" });

export const humanEval = defineFormat({
  name: "humaneval",
  shape: '{"task_id", "prompt", "test": "def check(candidate): ...", "entry_point"}',
  fields: z.object({
    task_id: id,
    prompt: code,
    canonical_solution: code.nullish(),
    test: code,
    entry_point: z.string().regex(/^[A-Za-z_]\w*$/, "expected the name of a function"),
  }),
  matches: (row) => "prompt" in row && "test" in row && "entry_point" in row,
  read({ task_id: rowId, prompt, canonical_solution: solution, test, entry_point }): RowMeaning {
    if (!new RegExp(`^\\s*(?:async )?def ${entry_point}\\b`, "m").test(prompt)) {
      throw new RowFault(`prompt: does not define ${entry_point}, the entry_point`);
    }
    if (!/\bdef check\s*\(/.test(test))
      throw new RowFault("test: does not define check(candidate)");
    return {
      kind: "task",
      id: rowId ?? undefined,
      question: `${prompt.trim()}\n\nWhat is the code of the whole function ${entry_point}?`,
      golds: solution === null || solution === undefined ? [] : [`${prompt}${solution}`],
      tests: { kind: "humaneval", prompt, test, entryPoint: entry_point },
    };
  },
});
