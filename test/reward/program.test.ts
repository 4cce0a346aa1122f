import { describe, expect, test } from "bun:test";
import { codeIn, programOf } from "../../src/reward/code/program.ts";
import type { CodeTests } from "../../src/types.ts";

const prompt = 'import math\n\ndef area(r):\n    """Of a circle."""\n';
const humanEval: CodeTests = { kind: "humaneval", prompt, test: "", entryPoint: "area" };
const mbpp: CodeTests = { kind: "mbpp", setup: "", asserts: [] };

describe("the code in an answer", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["all of it without a fence", "def f():\n    pass\n", "def f():\n    pass"],
    ["what is in a fence", "Here:\n```python\nx = 1\n```\nDone.", "x = 1"],
    ["the last of several fences", "```\na = 1\n```\nno:\n```py\nb = 2\n```", "b = 2"],
    ["a fence that is not closed", "```python\nx = 1\ny = 2", "x = 1\ny = 2"],
    ["with its indentation", "```\n    return 1\n```", "    return 1"],
    ["without empty lines before it", "\n  \n    return 1", "    return 1"],
  ];
  test.each(cases)("%s", (_, answer, code) => {
    expect(codeIn(answer)).toBe(code);
  });
});

describe("the program of an answer to a HumanEval task", () => {
  const whole = "def area(r):\n    return 3 * r * r";
  const asked = prompt.trimEnd();
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["a whole function comes after imports and helpers", whole, `import math\n\n\n${whole}`],
    ["a completion comes after the prompt", "    return 1", `${asked}\n    return 1`],
    [
      "its first line may have lost its indentation",
      "x = 1\n    return x",
      `${asked}\n    x = 1\n    return x`,
    ],
    ["or all of its lines", "x = 1\nreturn x", `${asked}\n    x = 1\n    return x`],
    [
      "or the first one that opens a block",
      "if r:\n        return 1\n    return 2",
      `${asked}\n    if r:\n        return 1\n    return 2`,
    ],
    [
      "a block at the margin moves as one",
      "if r:\n    return 1\n\nreturn 2",
      `${asked}\n    if r:\n        return 1\n\n    return 2`,
    ],
    [
      "a function of another name is a completion",
      "def other():\n    return 1\nreturn other()",
      `${asked}\n    def other():\n        return 1\n    return other()`,
    ],
    ["no code", "  ", undefined],
  ];
  test.each(cases)("%s", (_, answer, program) => {
    expect(programOf(answer, humanEval)).toBe(program);
  });
});

test("an answer to an MBPP task is its code", () => {
  expect(programOf("```python\nx = 1\n```", mbpp)).toBe("x = 1");
});
