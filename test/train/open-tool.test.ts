import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseRecipe } from "../../src/config/load.ts";
import { Recording } from "../../src/tools/recording.ts";
import { openRun } from "../../src/train/open-run.ts";
import { openToolbox } from "../../src/train/open-tool.ts";
import { type DataFolder, dataFolder, refusal } from "../helpers/data-files.ts";
import { serveHttp } from "../helpers/http-server.ts";
import { serveMcp } from "../helpers/mcp-http.ts";
import { serveRetriever } from "../helpers/retriever-server.ts";

setDefaultTimeout(60_000);

let folder: DataFolder;
let deadUrl: string;
beforeAll(() => {
  folder = dataFolder();
  const gone = serveHttp(() => new Response());
  deadUrl = gone.url;
  gone[Symbol.dispose]();
});
afterAll(() => folder[Symbol.dispose]());

const MCP_STDIO = JSON.stringify([
  process.execPath,
  join(import.meta.dir, "../helpers/mcp-stdio.ts"),
]);
const recipeOf = (tools: string, more = "") =>
  parseRecipe(`name: x\ntool:\n  ${tools.trim().replaceAll("\n", "\n  ")}\n${more}`, "r.yaml");
const open = (tools: string, more = "") => openToolbox(recipeOf(tools, more));

describe("tools that can't work are one line before a run's folder is written", () => {
  const quick = "retries: 0, deadline_ms: 20000";
  const dead = () => deadUrl;
  const table: readonly [claim: string, tools: () => string, line: RegExp][] = [
    [
      "a dead retriever",
      () => `search: { url: "${dead()}", ${quick} }`,
      /^the retriever does not answer: .+ \(http:.+\) - start it, or .+ --set tool.search.url=/,
    ],
    [
      "no key for the web search",
      () => "web: { kind: serper, api_key_env: ICRL_NO_SUCH_KEY }",
      /^the environment has no ICRL_NO_SUCH_KEY, which tool web needs \(.+\) - export ICRL_NO_/,
    ],
    [
      "a web search that does not answer",
      () => `web: { kind: serper, api_key_env: PATH, url: "${dead()}search", ${quick} }`,
      /^the web search does not answer: .+ - is PATH right\?$/,
    ],
    [
      "a command that is not there",
      () => "calc: { kind: command, command: [no-such-program] }",
      /^there is no program "no-such-program" \(tool.calc\) - it is not in PATH$/,
    ],
    [
      "a variable that is not there",
      () => 'calc: { kind: command, command: [cat], env: { KEY: "${ICRL_NO_SUCH_KEY}" } }',
      /^the environment has no ICRL_NO_SUCH_KEY, which tool calc needs \(tool.calc.env\)/,
    ],
    [
      "an endpoint where nobody answers",
      () => `weather: { kind: http, url: "${dead()}v1" }`,
      /^nobody answers for tool weather: .+ \(http:.+\) - start it, or change tool.weather.url$/,
    ],
    [
      "a key in a header that is not there",
      () => `w: { kind: http, url: "${dead()}", headers: { a: "\${ICRL_NO_SUCH_KEY}" } }`,
      /^the environment has no ICRL_NO_SUCH_KEY, which tool w needs/,
    ],
    [
      "an MCP program that is not there",
      () => "files: { kind: mcp, command: [no-such-server] }",
      /^there is no program "no-such-server" \(tool.files\)/,
    ],
    [
      "an MCP program that ends at once",
      () => `files: { kind: mcp, command: [sh, -c, "echo no licence >&2; exit 1"] }`,
      /^the MCP server of tool files does not answer: .*no licence \(sh -c /,
    ],
    [
      "an MCP server that is not there",
      () => `files: { kind: mcp, url: "${dead()}mcp" }`,
      /^the MCP server of tool files does not answer: .+ \(http:.+mcp\)$/,
    ],
    [
      "an MCP tool that is not there",
      () => `files: { kind: mcp, command: ${MCP_STDIO}, tools: [eco], deadline_ms: 20000 }`,
      /^the MCP server has no tool "eco" \(tool.files.tools\) - did you mean "echo"\?$/,
    ],
    [
      "two tools of one name",
      () =>
        `echo: { kind: command, command: [cat] }\n` +
        `files: { kind: mcp, command: ${MCP_STDIO}, deadline_ms: 20000 }`,
      /^two tools are named echo \(tool\) - choose an MCP server's tools with `tools: \[...\]`$/,
    ],
  ];
  test.each(table)("%s", async (claim, tools, line) => {
    const recipe = folder.write(
      `${claim.replaceAll(/\W+/g, "-")}.yaml`,
      `extends: nano\nname: x\ntool:\n  search: null\n  ${tools().replaceAll("\n", "\n  ")}\n`
        .replace("search: null\n  search:", "search:"),
    );
    const run = `${recipe}.run`;
    const request = { stages: undefined, recipe, overrides: [], seed: undefined, run };
    expect(await refusal(() => openRun(request, "nano"))).toMatch(line);
    expect(existsSync(run)).toBe(false);
  });

  test("a recording that is not there", async () => {
    const line = await refusal(() => open("search: { url: http://h:1/ }", "replay: none.sqlite"));
    expect(line).toBe(
      "there is no recording here (none.sqlite) - a run's recording is tools.sqlite in its folder",
    );
  });

  test("a replay of a tool that is not recorded", async () => {
    const path = join(folder.path, "empty.sqlite");
    Recording.open(path)[Symbol.dispose]();
    const tools = "search: { url: http://h:1/, recording: false }";
    expect(await refusal(() => open(tools, `replay: ${path}`))).toBe(
      "a replay asks nobody, and tool search is not recorded (tool.search.recording) - " +
        "record a run with tool.search.recording: true, or leave the tool out: =null",
    );
  });
});

describe("a toolbox of a recipe", () => {
  test("has its tools in order, with descriptions, tags and limits of each", async () => {
    using retriever = serveRetriever([["Orn", "Orn lies on the Sil."]]);
    using mcp = serveMcp();
    await using box = await open(`
look: { kind: retriever, url: "${retriever.url}", tag: lookup, max_observation_tokens: 7 }
calc: { kind: command, command: [cat], description: Computes., parameters: { sum: string } }
files: { kind: mcp, url: "${mcp.url}", max_observation_tokens: 9 }
search: { top_k: 1 }`);
    expect(box.tags).toEqual([
      { name: "look", tag: "lookup" },
      { name: "calc", tag: "calc" },
      { name: "echo", tag: "echo" },
      { name: "add", tag: "add" },
      { name: "search", tag: "search" },
    ]);
    expect(box.tools[1]!.spec).toMatchObject({ description: "Computes.", textParameter: "sum" });
    expect(["look", "calc", "add"].map((name) => box.maxObservationTokens(name))).toEqual([
      7, 500, 9,
    ]);
    const found = 'Doc 1(Title: "Orn") Orn lies on the Sil.';
    expect((await box.call("look", "x")).result.text).toBe(found);
    expect((await box.call("calc", "1+1")).result.text).toBe("1+1");
    expect((await box.call("add", '{"a": 1, "b": 2}')).result.text).toBe("3");
    expect((await box.call("search", " ")).result).toMatchObject({ reason: "invalid_call" });
  });

  test("of several records into the files that the recipe names", async () => {
    using retriever = serveRetriever([["Orn", "Orn lies on the Sil."]]);
    const shared = join(folder.path, "shared.sqlite");
    const own = join(folder.path, "own.sqlite");
    const url = `kind: retriever, url: "${retriever.url}"`;
    {
      await using box = await open(
        `a: { ${url} }\nb: { ${url}, recording: ${shared}, top_k: 1 }\n` +
          `c: { ${url}, recording: false, top_k: 2 }`,
      );
      box.recordIn(own);
      for (const name of ["a", "b", "c"]) await box.call(name, "orn");
    }
    for (const path of [own, shared]) {
      using recording = Recording.openToReplay(path);
      expect(recording.size).toBe(1);
    }
  });

  test("whose tools are all in this process leaves no recording", async () => {
    const path = join(folder.path, "nothing.sqlite");
    await using box = await open("search: {}");
    box.recordIn(path);
    await box.call("search", "orn");
    expect(existsSync(path)).toBe(false);
  });
});

describe("a replay", () => {
  test("of an MCP server needs no server, for its tools' list neither", async () => {
    const path = join(folder.path, "mcp.sqlite");
    const recorded = serveMcp();
    const tools = `files: { kind: mcp, url: "${recorded.url}", recording: true }`;
    {
      await using box = await open(tools);
      box.recordIn(path);
      await box.call("echo", "hello");
      await box.call("echo", "wrong");
    }
    recorded[Symbol.dispose]();
    await using box = await open(tools, `replay: ${path}`);
    expect(box.tools.map(({ name }) => name)).toEqual(["echo", "add"]);
    expect((await box.call("echo", "hello")).result).toEqual({ ok: true, text: "hello\n[image]" });
    expect((await box.call("echo", "wrong")).result).toMatchObject({ executionFailed: true });
    expect((await box.call("echo", "new")).result).toMatchObject({ reason: "unavailable" });
  });

  test("needs no program and no variable of the environment", async () => {
    const path = join(folder.path, "command.sqlite");
    Recording.open(path)[Symbol.dispose]();
    await using box = await open(
      `a: { kind: command, command: [no-such-program], recording: true }\n` +
        'b: { kind: http, url: http://h.invalid/, headers: { a: "${ICRL_NO_SUCH_KEY}" } }\n' +
        "c: { kind: serper, api_key_env: ICRL_NO_SUCH_KEY }",
      `replay: ${path}`,
    );
    for (const name of ["a", "b", "c"]) {
      const { result } = await box.call(name, "q");
      expect(result).toMatchObject({ reason: "unavailable" });
    }
  });
});
