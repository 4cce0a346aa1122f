import { describe, expect, test } from "bun:test";
import { countOf, lastAnswer, ownText, tagProfile } from "../../src/reward/tags.ts";

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

test("countOf takes its needle literally", () => {
  expect(countOf("a.c", "a.c abc A.C")).toBe(2);
});
