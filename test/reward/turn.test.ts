import { describe, expect, test } from "bun:test";
import { tagProfile } from "../../src/reward/tags.ts";
import { findStop, parseTurn } from "../../src/reward/turn.ts";

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
    const found = findStop(tags, text);
    expect(found?.stop.kind).toBe(kind as never);
    expect(text.slice(0, found?.end ?? 0)).toBe(upToStop);
  });

  test("starts at `from`", () => {
    const text = "<search> q </search> then <answer> b </answer>";
    const first = findStop(tags, text)!;
    expect(findStop(tags, text, first.end)!.stop.kind).toBe("answer");
  });
});

const search = (input: string) => ({ kind: "call", calls: [{ tool: "search", input }] });
const python = (input: string) => ({ kind: "call", calls: [{ tool: "python", input }] });
const answer = (text: string | undefined) => ({ kind: "answer", answer: text });
const none = { kind: "none" };
const faulty = (tool: string, input: string, fault: string) => ({
  kind: "call",
  calls: [{ tool, input, fault }],
});

type Cases = readonly (readonly [claim: string, text: string, parsed: object])[];

describe("a turn of icrl", () => {
  const cases: Cases = [
    ["a call", "<think> x </think> <search> q </search>", search("q")],
    ["the last opened call", "<search> a <search> b </search>", search("b")],
    [
      "a call without its opening tag",
      "q </search>",
      faulty("search", "q </search>", "write the call between <search> and </search>."),
    ],
    ["an empty call", "<search> </search>", search("")],
    ["an answer", "<answer> b </answer>", answer("b")],
    ["an answer without its opening tag", "b </answer>", answer(undefined)],
    ["an answer before a call", "<answer> b </answer> <search> q </search>", answer("b")],
    ["neither", "<think> x", none],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(tags, text)).toEqual(parsed as never);
  });
});

describe("a turn of icrl with two tools", () => {
  const both = tagProfile("icrl", [
    { name: "wiki", tag: "search" },
    { name: "python", tag: "code" },
  ]);
  const wiki = { kind: "call", calls: [{ tool: "wiki", input: "a" }] };
  const cases: Cases = [
    ["the tag says which tool", "<code> 1 + 1 </code>", python("1 + 1")],
    ["its word need not be the tool's name", "<search> a </search>", wiki],
    ["the first closing tag wins", "<code> 1 <search> a </search> </code>", wiki],
    ["a tag of no tool is text", "<shell> ls </shell>", none],
    [
      "the tags of two tools don't mix",
      "<search> 1 </code>",
      faulty("python", "<search> 1 </code>", "write the call between <code> and </code>."),
    ],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(both, text)).toEqual(parsed as never);
  });
});

describe("a turn of retool", () => {
  const cases: Cases = [
    [
      "code in its fence",
      "<code>\n```python\na = 1\nprint(a)\n```\n</code>",
      python("a = 1\nprint(a)"),
    ],
    ["code without a fence", "<code> print(1) </code>", python("print(1)")],
    ["a boxed answer", "so <answer>\n\\boxed{\\frac{1}{2}}\n</answer>", answer("\\frac{1}{2}")],
    ["an answer without a box", "<answer> 3 </answer>", answer(undefined)],
    ["a box without answer tags", "\\boxed{3}", none],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(tagProfile("retool"), text)).toEqual(parsed as never);
  });
});

describe("a turn of torl", () => {
  const cases: Cases = [
    ["code before ```output", "So\n```python\nprint(1)\n```\n```output", python("print(1)")],
    ["the last of several blocks", "```python\n1\n```\n```python\n2\n```\n```output", python("2")],
    ["a fence that ```output closes", "```python\nprint(1)\n```output", python("print(1)")],
    ["a block that is not run", "```python\nprint(1)\n```", none],
    [
      "```output without code",
      "x ```output",
      faulty("python", "x ```output", "write the call between ```python and ```."),
    ],
    ["an answer is the last box, where the turn ends", "\\boxed{1}, no, \\boxed{ 2 }", answer("2")],
    [
      "a box before code answers nothing yet",
      "\\boxed{1} ```python\n2\n``` ```output",
      python("2"),
    ],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(tagProfile("torl"), text)).toEqual(parsed as never);
  });
});

describe("a message of hermes", () => {
  const tools = [
    { name: "search", tag: "search", textParameter: "query" },
    { name: "add", tag: "add" },
  ];
  const hermes = tagProfile("hermes", tools);
  const call = (json: string): string => `<tool_call>\n${json}\n</tool_call>`;
  const shape = 'a call is a JSON object with "name" and "arguments", which is an object.';
  const cases: Cases = [
    [
      "a tool of one text gets the text",
      call('{"name": "search", "arguments": {"query": "Osk"}}'),
      search("Osk"),
    ],
    [
      "any other gets the arguments as JSON",
      call('{"name": "add", "arguments": {"a": 1, "b": [2]}}'),
      { kind: "call", calls: [{ tool: "add", input: '{"a":1,"b":[2]}' }] },
    ],
    [
      "several calls, in their order",
      `a ${call('{"name": "add", "arguments": {}}')} b ${call('{"name":"search","arguments":{"query":"x"}}')}`,
      {
        kind: "call",
        calls: [
          { tool: "add", input: "{}" },
          { tool: "search", input: "x" },
        ],
      },
    ],
    [
      "a tool that is not there is called by its name",
      call('{"name": "shell", "arguments": {"cmd": "ls"}}'),
      { kind: "call", calls: [{ tool: "shell", input: '{"cmd":"ls"}' }] },
    ],
    [
      "no arguments are none",
      call('{"name": "add"}'),
      { kind: "call", calls: [{ tool: "add", input: "{}" }] },
    ],
    ["no JSON", call("search Osk"), faulty("none", "search Osk", shape)],
    ["no object", call("[1]"), faulty("none", "[1]", shape)],
    ["no name", call('{"arguments": {}}'), faulty("none", '{"arguments": {}}', shape)],
    [
      "arguments that are no object",
      call('{"name": "add", "arguments": "x"}'),
      faulty("add", '{"name": "add", "arguments": "x"}', shape),
    ],
    [
      "no text where one is needed",
      call('{"name": "search", "arguments": {"q": "x"}}'),
      faulty(
        "search",
        '{"name": "search", "arguments": {"q": "x"}}',
        'the arguments of search need "query", a text.',
      ),
    ],
    [
      "a call without its opening tag",
      '{"name": "add"}</tool_call>',
      faulty("none", '{"name": "add"}', "write the call between <tool_call> and </tool_call>."),
    ],
    ["a call that never closes is none", '<tool_call>{"name": "add"}', none],
    ["an answer", "<answer> b </answer>", answer("b")],
    ["an answer closed first", `<answer> b </answer> ${call('{"name": "add"}')}`, answer("b")],
    [
      "a call closed first",
      `${call('{"name": "add"}')} <answer> b </answer>`,
      { kind: "call", calls: [{ tool: "add", input: "{}" }] },
    ],
    ["a message with neither", "b", none],
  ];
  test.each(cases)("%s", (_, text, parsed) => {
    expect(parseTurn(hermes, text)).toEqual(parsed as never);
  });
  test("of hermes-message is an answer where it calls nothing", () => {
    const message = tagProfile("hermes-message", tools);
    expect(parseTurn(message, "<think>\nhm\n</think>\n\nOsk. ")).toEqual({
      kind: "answer",
      answer: "Osk.",
    });
    expect(parseTurn(message, call('{"name": "add"}')).kind).toBe("call");
    expect(parseTurn(message, " ")).toEqual({ kind: "none" });
  });
});
