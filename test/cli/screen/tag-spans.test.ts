import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type TagSpan, TagSpans } from "../../../src/cli/screen/tag-spans.ts";
import { tagProfile } from "../../../src/reward/tags.ts";

function spansOf(profile: string, pieces: readonly string[]): TagSpan[] {
  const spans = new TagSpans(tagProfile(profile));
  return [...pieces.flatMap((piece) => spans.push(piece)), ...spans.end()];
}
const joined = (spans: readonly TagSpan[], kind?: string): string =>
  spans.map(({ text, kind: own }) => (kind === undefined || kind === own ? text : "")).join("");

/** "kind:text" of neighbours of one kind. */
function merged(spans: readonly TagSpan[]): string[] {
  const texts: string[] = [];
  for (const [i, { kind, text }] of spans.entries()) {
    if (i > 0 && spans[i - 1]!.kind === kind) texts[texts.length - 1] += text;
    else texts.push(`${kind}:${text}`);
  }
  return texts;
}

describe("text by the tags it stands in:", () => {
  const table: readonly [claim: string, profile: string, text: string, spans: string[]][] = [
    [
      "a whole turn",
      "icrl",
      "So <think> I </think>\n<search> q </search>",
      ["text:So ", "thought:<think> I </think>", "text:\n", "call:<search> q </search>"],
    ],
    ["any case", "icrl", "<THINK>a</Think>b", ["thought:<THINK>a</Think>", "text:b"]],
    [
      "an unclosed tag ends where the next opens",
      "icrl",
      "<think> a <answer> b </answer>",
      ["thought:<think> a ", "answer:<answer> b </answer>"],
    ],
    ["what no tag opened is closed by none", "icrl", "a </think> b", ["text:a </think> b"]],
    ["half a tag at the end", "icrl", "<think> a </thi", ["thought:<think> a </thi"]],
    [
      "fenced code and a box",
      "torl",
      "x ```python\n1\n```\n \\boxed{2}.",
      ["text:x ", "call:```python\n1\n```", "text:\n ", "answer:\\boxed{2}", "text:."],
    ],
    ["calls in JSON", "hermes", "<tool_call>{}</tool_call>", ["call:<tool_call>{}</tool_call>"]],
  ];
  test.each(table)("%s", (_claim, profile, text, spans) => {
    expect(merged(spansOf(profile, [text]))).toEqual(spans);
    expect(merged(spansOf(profile, [...text]))).toEqual(spans);
  });
});

test("what may begin a tag waits until it is certain", () => {
  const spans = new TagSpans(tagProfile("icrl"));
  expect(spans.push("a <")).toEqual([{ kind: "text", text: "a " }]);
  expect(spans.push("thin")).toEqual([]);
  expect(spans.push("g")).toEqual([{ kind: "text", text: "<thing" }]);
});

test("however it is cut, all of the text comes out, once and in order", () => {
  const word = fc.constantFrom(
    "<think>",
    "</think>",
    "<search>",
    "</search>",
    "<answer>",
    "<",
    "a",
    "\n",
  );
  fc.assert(
    fc.property(fc.array(word), fc.infiniteStream(fc.nat(5)), (words, cuts) => {
      const text = words.join("");
      const pieces: string[] = [];
      for (let at = 0; at < text.length;) {
        const size = 1 + (cuts.next().value as number);
        pieces.push(text.slice(at, at + size));
        at += size;
      }
      const spans = spansOf("icrl", pieces);
      expect(joined(spans)).toBe(text);
      expect(merged(spans)).toEqual(merged(spansOf("icrl", [text])));
    }),
  );
});
