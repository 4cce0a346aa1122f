import { describe, expect, test } from "bun:test";
import { parseRecipe } from "../../src/config/load.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { defaultPromptText, formatLines } from "../../src/rollout/words.ts";
import { promptText } from "../../src/train/prompt-text.ts";

const both = tagProfile("icrl", [
  { name: "search", tag: "search" },
  { name: "python", tag: "code" },
]);
const wordsOf = (prompt: string, tags = both) =>
  promptText(parseRecipe(`name: x\nprompt: ${prompt}`, "x.yaml").prompt, tags);

test("a recipe's words replace the usual ones one by one, also by nothing", () => {
  const usual = defaultPromptText(both);
  expect(wordsOf("{ examples: '', format: { answer: 'A: {open}' } }")).toEqual({
    ...usual,
    examples: "",
    format: { ...usual.format, answer: "A: {open}" },
  });
});

describe("the lines for calls", () => {
  const linesOf = (format: string): string[] => {
    const silent = "think: '', observation: '', answer: ''";
    return formatLines(wordsOf(`{ format: { ${silent}, ${format} } }`).format, both);
  };
  const table: readonly [claim: string, format: string, lines: string[]][] = [
    ["are usual ones", "", ["Search: <search> a query </search>", "Python: <code> code </code>"]],
    ["are the recipe's for all", "call: '{open}..'", ["<search>..", "<code>.."]],
    ["are one where they are the same", "call: use a tool", ["use a tool"]],
    [
      "are a tool's own before the recipe's for all",
      "call: '{open}', calls: { python: 'run {open}' }",
      ["<search>", "run <code>"],
    ],
    [
      "are a tool's own before its usual one",
      "calls: { python: '' }",
      ["Search: <search> a query </search>"],
    ],
  ];
  test.each(table)("%s", (_claim, format, lines) => expect(linesOf(format)).toEqual(lines));
});

test("the usual words name the tags of a profile, and where it has none they say nothing", () => {
  const lines = (name: string) => {
    const tags = tagProfile(name);
    return formatLines(defaultPromptText(tags).format, tags);
  };
  expect(lines("retool")).toEqual([
    "Python: <code> ```python ... ``` </code>",
    "The result then appears as: <interpreter> ... </interpreter>",
    "Final answer: <answer> \\boxed{...} </answer>",
  ]);
  expect(lines("torl")).toEqual([
    "Python: ```python ... ```, and ```output on a line of its own",
    "The result then appears as: ```output ... ```",
    "Final answer: \\boxed{...}",
  ]);
  expect(lines("hermes")).toEqual(["Final answer: <answer> ... </answer>"]);
  expect(lines("hermes-message")).toEqual([]);
});
