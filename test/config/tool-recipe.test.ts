import { describe, expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import { parseRecipe, recipeText, withAbsolutePaths } from "../../src/config/load.ts";
import { tagWord } from "../../src/config/tool-recipe.ts";

const toolsOf = (text: string, ...overrides: string[]) =>
  parseRecipe(`name: x\n${text}`, "r.yaml", overrides).tool;
const kindsOf = (text: string, ...overrides: string[]) =>
  Object.entries(toolsOf(text, ...overrides)).map(([name, { kind }]) => `${name}: ${kind}`);

function refusal(text: string, ...overrides: string[]): string {
  try {
    toolsOf(text, ...overrides);
  } catch (error) {
    if (error instanceof UserError) return error.describe();
    throw error;
  }
  throw new Error("accepted");
}

describe("the kind of a tool", () => {
  const table: readonly [claim: string, text: string, overrides: string[], kinds: string[]][] = [
    ["is search where no tool is named", "", [], ["search: search"]],
    [
      "is a retriever for search with an address",
      "",
      ["tool.search.url=http://h:1/"],
      ["search: retriever"],
    ],
    ["is the sandbox for python", "tool: { python: {} }", [], ["python: python"]],
    [
      "is SandboxFusion for python with an address",
      "tool: { python: { url: http://h:1/run_code } }",
      [],
      ["python: sandbox_fusion"],
    ],
    [
      "is said for any other name, and order is kept",
      "tool: { web: { kind: serper }, calc: { kind: command, command: [bc] }, search: {} }",
      [],
      ["web: serper", "calc: command", "search: search"],
    ],
    [
      "may be gone: null takes an inherited tool away",
      "extends: nano\ntool: { python: {} }",
      ["tool.search=null"],
      ["python: python"],
    ],
  ];
  test.each(table)("%s", (_claim, text, overrides, kinds) => {
    expect(kindsOf(text, ...overrides)).toEqual(kinds);
  });

  test("of a frozen recipe is written out, and an address still changes it", () => {
    const frozen = recipeText(parseRecipe("extends: nano\nname: x", "r.yaml"));
    expect(parseRecipe(frozen, "r.yaml")).toEqual(parseRecipe("extends: nano\nname: x", "r.yaml"));
    const { tool } = parseRecipe(frozen, "r.yaml", ["tool.search.url=http://h:1/retrieve"]);
    expect(tool["search"]).toMatchObject({ kind: "retriever", top_k: 1, retries: 1 });
  });
});

describe("mistakes are one line with their place", () => {
  const table: readonly [text: string, line: string][] = [
    ["tool: {}", "a recipe has at least one tool (r.yaml:2:1)"],
    ["tool: { search: null }", "a recipe has at least one tool (r.yaml:2:1)"],
    [
      "tool:\n  search: { kind: serch }",
      'there is no kind of tool "serch": did you mean "search"? (r.yaml:3:13)',
    ],
    [
      "tool:\n  web: {}",
      "tool.web has no kind: known: search, retriever, serper, python, sandbox_fusion, command, " +
        "http, mcp (r.yaml:3:3)",
    ],
    ["tool:\n  a b: { kind: search }", 'the key "tool.a b" is not a word of letters, digits'],
    [
      "tool:\n  search:\n    topk: 3",
      'unknown key "tool.search.topk" (r.yaml:4:5) - did you mean "top_k"?',
    ],
    [
      "tool:\n  search:\n    urll: x",
      'unknown key "tool.search.urll" (r.yaml:4:5) - did you mean "url"?',
    ],
    ["top_k: 3", 'unknown key "top_k" (r.yaml:2:1) - did you mean "tool.search.top_k"?'],
    [
      "tool:\n  search:\n    breaker: { failure: 3 }",
      'unknown key "tool.search.breaker.failure" (r.yaml:4:16) - did you mean "failures"?',
    ],
    [
      "tool:\n  search:\n    url: ftp://x",
      "tool.search.url: an address like http://127.0.0.1:8000/retrieve (r.yaml:4:5)",
    ],
    [
      "tool:\n  w: { kind: mcp }",
      "an MCP server is either a command or a url (r.yaml:3:3)",
    ],
    [
      "tool:\n  w: { kind: http, url: http://h/, method: GET, body: x }",
      "a GET has no body: say method: POST, or use query (r.yaml:3:49)",
    ],
    [
      "tool:\n  w: { kind: http, url: 'http://h/{city}', parameters: { town: string } }",
      "{city} is no parameter of the tool: known: town (r.yaml:3:20)",
    ],
    [
      "tool:\n  w: { kind: http, url: http://h/, headers: { a: '{input}' } }",
      "{input} is no parameter of the tool: none can stand here (r.yaml:3:36)",
    ],
    [
      "tool:\n  w: { kind: command, command: [bc, '{x}'] }",
      "{x} is no parameter of the tool: known: input (r.yaml:3:23)",
    ],
    [
      "tool:\n  w: { kind: command, command: [bc], parameters: { x: text } }",
      "tool.w.parameters.x.type: one of string, number, integer, boolean, array, object " +
        "(r.yaml:3:52)",
    ],
  ];
  test.each(table)("%s", (text, line) => {
    expect(refusal(text)).toContain(line);
  });
});

describe("questions that are not of the executable's own world", () => {
  const data = "data: { train: questions.jsonl }";

  test("need a tool that knows more than it", () => {
    expect(refusal(data)).toBe(
      "these questions need a retriever, tool.search.url: the search tool without one finds " +
        "nothing but the almanac (r.yaml:2:9)",
    );
  });

  test.each([
    "tool: { search: { index: corpus.sqlite } }",
    "tool: { python: {} }",
    "tool: { web: { kind: serper } }",
  ])("are content with %s", (tool) => {
    expect(Object.keys(toolsOf(`${data}\n${tool}`)).length).toBe(1);
  });
});

test("the word of a tool's tags is its name, its kind's, or what the recipe says", () => {
  const tools = toolsOf("tool: { search: {}, python: {}, web: { kind: serper, tag: internet } }");
  const words = Object.entries(tools).map(([name, spec]) => tagWord(name, spec));
  expect(words).toEqual(["search", "code", "internet"]);
});

test("files and folders of tools are found from any folder", () => {
  const text =
    "name: x\nreplay: a.sqlite\ntool: { calc: { kind: command, command: [bc], cwd: sub, " +
    "recording: b.sqlite }, search: {} }";
  const { tool, replay } = withAbsolutePaths(parseRecipe(text, "r.yaml"));
  const here = process.cwd();
  expect(replay).toBe(`${here}/a.sqlite`);
  expect(tool["calc"]).toMatchObject({ cwd: `${here}/sub`, recording: `${here}/b.sqlite` });
});
