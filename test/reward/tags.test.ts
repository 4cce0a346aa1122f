import { describe, expect, test } from "bun:test";
import {
  countOf,
  findStop,
  lastAnswer,
  ownText,
  parseTurn,
  tagProfile,
  type TagProfile,
} from "../../src/reward/tags.ts";

const tags = tagProfile("icrl");

describe("findStop", () => {
  const cases: readonly (readonly [string, string, string | undefined, string])[] = [
    ["the first closing tag wins: answer", "a</answer> b</search>", "answer", "a</answer>"],
    ["the first closing tag wins: call", "a</search> b</answer>", "call", "a</search>"],
    ["case is ignored", "a</SEARCH>b", "call", "a</SEARCH>"],
    ["an opening tag stops nothing", "<search> q <answer> b", undefined, ""],
    ["an incomplete tag stops nothing", "<search> q </search", undefined, ""],
    ["indices survive letters that lower-casing lengthens", "İİ</search>", "call", "İİ</search>"],
  ];
  test.each(cases)("%s", (_, text, kind, upToStop) => {
    const stop = findStop(tags, text);
    expect(stop?.kind).toBe(kind as never);
    expect(text.slice(0, stop?.end ?? 0)).toBe(upToStop);
  });

  test("starts at `from`", () => {
    const text = "<search> q </search> then <answer> b </answer>";
    const first = findStop(tags, text)!;
    expect(findStop(tags, text, first.end)!.kind).toBe("answer");
  });

  test("a stop need not be a closing tag", () => {
    const fenced: TagProfile = {
      ...tags,
      name: "fenced",
      call: { open: "```python\n", close: "```" },
      stops: [{ kind: "call", text: "```output" }, ...tags.stops],
    };
    expect(findStop(fenced, "```python\n1\n``` ```output")).toEqual({
      kind: "call",
      start: 16,
      end: 25,
    });
    expect(parseTurn(fenced, "```python\n1 + 1\n```\n```output")).toEqual({
      kind: "call",
      input: "1 + 1",
    });
  });
});

describe("parseTurn", () => {
  const cases: readonly (readonly [string, string, object])[] = [
    ["a call", "<think> x </think> <search> q </search>", { kind: "call", input: "q" }],
    ["the last opened call", "<search> a <search> b </search>", { kind: "call", input: "b" }],
    ["a call without its opening tag", "q </search>", { kind: "invalid_call" }],
    ["an empty call", "<search> </search>", { kind: "call", input: "" }],
    ["an answer", "<answer> b </answer>", { kind: "answer", answer: "b" }],
    ["an answer without its opening tag", "b </answer>", { kind: "answer", answer: undefined }],
    [
      "an answer before a call",
      "<answer> b </answer> <search> q </search>",
      { kind: "answer", answer: "b" },
    ],
    ["neither", "<think> x", { kind: "none" }],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(tags, text)).toEqual(parsed as never);
  });
});

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
