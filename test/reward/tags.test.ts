import { describe, expect, test } from "bun:test";
import { countOf, lastAnswer, ownText, tagProfile, type ToolTag } from "../../src/reward/tags.ts";
import { refusal } from "../helpers/data-files.ts";

const tags = tagProfile("icrl");

describe("lastAnswer", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["takes the last complete pair", "<answer>a</answer> <answer>b</answer> <answer>c", "b"],
    ["starts at the nearest opening tag", "<answer> a <answer> b </answer>", "b"],
    ["ends at the first closing tag", "<answer> a </answer> b </answer>", "a"],
    ["spans lines", "<answer>\na\nb\n</answer>", "a\nb"],
    ["is undefined where nothing is closed", "<answer> a", undefined],
    ["is empty for an empty pair", "<answer> </answer>", ""],
  ];
  test.each(cases)("%s", (_, text, answer) => {
    expect(lastAnswer(tags, text)).toBe(answer as never);
  });
});

describe("ownText", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      "cuts a tool's output",
      "<search>q</search>\n<information>d</information>\nb",
      "<search>q</search>\nb",
    ],
    [
      "cuts each of several",
      "</search><information>d</information></search><information>e</information>",
      "</search></search>",
    ],
    [
      "keeps an observation that no call asked for",
      "b <information>d</information>",
      "b <information>d</information>",
    ],
    [
      "keeps an observation that never closes",
      "</search><information>d",
      "</search><information>d",
    ],
    [
      "keeps what comes after the first closing tag",
      "</search><information>d</information>e</information>",
      "</search>e</information>",
    ],
    [
      "keeps a dollar sign as it is",
      "$& </search><information>$1</information>$1",
      "$& </search>$1",
    ],
  ];
  test.each(cases)("%s", (_, response, own) => {
    expect(ownText(tags, response)).toBe(own);
  });
});

describe("the answer of a profile", () => {
  const call = '<tool_call>{"name": "add"}</tool_call>';
  const cases: readonly (readonly [string, string, string, string | undefined])[] = [
    ["is boxed within the last tags", "retool", "\\boxed{1} <answer> \\boxed{2} </answer>", "2"],
    ["is none without a box", "retool", "\\boxed{1} <answer> 2 </answer>", undefined],
    ["is the last box", "torl", "\\boxed{1} \\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"],
    ["is in the last tags", "hermes", "<answer>1</answer> <answer> 2 </answer>", "2"],
    ["is all after the last call", "hermes-message", `so ${call}\n It is 2.\n`, "It is 2."],
    ["has no thoughts in it", "hermes-message", "<think> 1 </think>\n\n2", "2"],
    ["is none where nothing is said", "hermes-message", `2 ${call} <think> 3 </think>`, undefined],
  ];
  test.each(cases)("%s: %s", (_, profile, text, answer) => {
    expect(lastAnswer(tagProfile(profile), text)).toBe(answer as never);
  });
});

describe("a profile is refused", () => {
  const tool = (name: string, tag: string) => ({ name, tag });
  const table: readonly [claim: string, name: string, tools: ToolTag[], line: string][] = [
    ["by a wrong name", "herms", [], 'unknown tag profile "herms" - did you mean "hermes"?'],
    [
      "with two tools where one can be called",
      "retool",
      [tool("search", "search"), tool("python", "code")],
      'the tag profile "retool" calls one tool, not search, python (tags) - ' +
        "icrl and hermes can call several",
    ],
    [
      "with two tools of one tag",
      "icrl",
      [tool("wiki", "search"), tool("web", "Search")],
      "the tag <Search> has two meanings (tool.web.tag) - give it another: --set tool.web.tag=web",
    ],
    [
      "with a tool whose tag is the answer's",
      "search-r1",
      [tool("answer", "answer")],
      "the tag <answer> has two meanings (tool.answer.tag) - " +
        "give it another: --set tool.answer.tag=word",
    ],
  ];
  test.each(table)("%s", async (_claim, name, tools, line) => {
    expect(await refusal(() => tagProfile(name, tools))).toBe(line);
  });
});

test("countOf takes its needle literally", () => {
  expect(countOf("a.c", "a.c abc A.C")).toBe(2);
});
