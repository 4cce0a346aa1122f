// Faults and strict validity, profile by profile. What they cost is in score.test.ts.

import { describe, expect, test } from "bun:test";
import { type FaultName, findFaults, isValidFormat } from "../../src/reward/format.ts";
import { tagProfile } from "../../src/reward/tags.ts";

const TOOLS = [
  { name: "search", tag: "search", textParameter: "query" },
  { name: "python", tag: "code", textParameter: "code" },
];
const toolsOf = (profile: string) =>
  ["retool", "torl"].includes(profile) ? TOOLS.slice(1) : TOOLS;

const FENCE = "```python\n1\n```";
const CALL = '<tool_call>{"name": "search", "arguments": {"query": "a"}}</tool_call>';

type Table = readonly (readonly [text: string, faults: FaultName[], isValid: boolean])[];
const tables: Readonly<Record<string, Table>> = {
  icrl: [
    ["<think>a</think><search>b</search><think>c</think><answer>d</answer>", [], true],
    ["<think>a</think><code>1</code><answer>d</answer>", [], true],
    ["<think>a</think><answer>d</answer>", ["no_search"], false],
    ["<think>a</think><code>1</code><information>x</information><answer>d</answer>", [], false],
    ["<think>a</think><code>1</code><answer>d</answer><answer>e</answer>", [], false],
    ["<code>1</code><answer>d</answer>", ["no_think"], false],
  ],
  retool: [
    [`a <code>${FENCE}</code> b <answer>\\boxed{2}</answer>`, [], true],
    [`a <code>${FENCE}</code> b <answer> \\boxed{2} </answer>\n`, [], true],
    [`a <code>${FENCE}</code> <answer>2</answer>`, ["no_answer"], false],
    [`a <code>${FENCE}</code> \\boxed{2}`, ["no_answer"], false],
    [`<code>${FENCE}</code><answer>\\boxed{ }</answer>`, ["empty_answer"], false],
    [`<code>${FENCE}</code><answer>\\boxed{2}`, ["no_answer", "unbalanced_answer"], false],
    ["<answer>\\boxed{2}</answer>", ["no_search"], false],
    [`<code>${FENCE}</code><interpreter>2</interpreter><answer>\\boxed{2}</answer>`, [], false],
    [`<code>${FENCE}</code><answer>\\boxed{2}</answer> so`, [], false],
  ],
  torl: [
    [`a ${FENCE}\n\`\`\`output so it is $\\boxed{2}$.`, [], true],
    [`a ${FENCE}\n\`\`\`output \\[\\boxed{\\frac{1}{2}}\\]`, [], true],
    [`a ${FENCE}\n\`\`\`output \\boxed{2} and more`, [], false],
    [`a ${FENCE}\n\`\`\`output \\boxed{1} or \\boxed{2}`, [], false],
    [`a ${FENCE}\n\`\`\`output 2`, ["no_answer"], false],
    [`a ${FENCE}\n\`\`\`output \\boxed{2`, ["no_answer", "unbalanced_answer"], false],
    [`a ${FENCE}\n\`\`\`output \\boxed{}`, ["empty_answer"], false],
    ["\\boxed{2}", ["no_search"], false],
  ],
  hermes: [
    [`a ${CALL} b <answer>2</answer>`, [], true],
    [`${CALL}<answer>2</answer>`, [], true],
    ["<answer>2</answer>", ["no_search"], false],
    [`${CALL} it is 2`, ["no_answer"], false],
    [`${CALL}<tool_response>\n2\n</tool_response><answer>2</answer>`, [], false],
    [`${CALL}<answer>2</answer> so`, [], false],
  ],
  "hermes-message": [
    [`a ${CALL} it is 2`, [], true],
    ["it is 2", ["no_search"], false],
    [`it is 2 ${CALL}`, ["no_answer"], false],
    [`${CALL} <tool_response>2</tool_response> it is 2`, [], false],
  ],
};

for (const [name, table] of Object.entries(tables)) {
  describe(name, () => {
    const tags = tagProfile(name, toolsOf(name));
    test.each(table)("%j", (text, faults, isValid) => {
      const found = Object.entries(findFaults(tags, text)).filter(([, is]) => is);
      expect(found.map(([fault]) => fault)).toEqual(faults);
      expect(isValidFormat(tags, text)).toBe(isValid);
    });
    test("an empty response has every fault of absence", () => {
      expect(findFaults(tags, " \n")).toMatchObject({
        empty_response: true,
        no_answer: true,
        no_think: tags.think !== undefined,
        no_search: true,
      });
      expect(isValidFormat(tags, "")).toBe(false);
    });
  });
}
