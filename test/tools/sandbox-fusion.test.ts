// The client of SandboxFusion against a local server that speaks its format.

import { describe, expect, test } from "bun:test";
import { pythonSpec } from "../../src/tools/python/python-tool.ts";
import { cleanTraceback } from "../../src/tools/python/traceback.ts";
import { SandboxFusionTool } from "../../src/tools/sandbox-fusion.ts";
import { callTool } from "../../src/tools/tool.ts";
import { serveSandboxFusion } from "../helpers/sandbox-fusion-server.ts";

const POLICY = { deadlineMs: 30_000, retries: 0, backoffMs: 1 };
const toolAt = (url: string) =>
  new SandboxFusionTool({ url, timeMs: 5000, memoryMb: 512 }, "python", pythonSpec(undefined));

const run = (more: object, status = "Success", message = "") => ({
  status,
  message,
  compile_result: null,
  run_result: {
    status: "Finished",
    execution_time: 0.02,
    return_code: 0,
    stdout: "",
    stderr: "",
    ...more,
  },
  executor_pod_name: null,
  files: {},
});
const TRACEBACK = `Traceback (most recent call last):
  File "/tmp/tmpx3k/tmp1.py", line 5, in <module>
    f(0)
  File "/tmp/tmpx3k/tmp1.py", line 2, in f
    return 1 / x
           ~~^~~
ZeroDivisionError: division by zero
`;

async function answered(answer: unknown, status = 200, code = "print(1)") {
  using server = serveSandboxFusion(answer, status);
  return (await callTool(toolAt(server.url), code, POLICY)).result;
}

test("a request says the code, without its fence, and the limits", async () => {
  using server = serveSandboxFusion(run({ stdout: "1\n" }));
  await callTool(toolAt(server.url), "```python\nprint(1)\n```", POLICY);
  expect(server.requests).toEqual([
    {
      code: "print(1)",
      language: "python",
      stdin: "",
      compile_timeout: 10,
      run_timeout: 5,
      memory_limit_MB: 512,
      files: {},
    },
  ]);
});

describe("of an answer the policy reads", () => {
  const CASES: readonly (readonly [string, unknown, string, boolean])[] = [
    ["what was printed", run({ stdout: "1\n" }), "1", false],
    ["that nothing was", run({}), "(no output)", false],
    ["no warnings", run({ stdout: "1", stderr: "a warning" }), "1", false],
    [
      "an error with its lines, without paths",
      run({ stdout: "a\n", stderr: TRACEBACK, return_code: 1 }, "Failed"),
      "a\nline 5: f(0)\nline 2, in f: return 1 / x\nZeroDivisionError: division by zero",
      true,
    ],
    [
      "an error of the run",
      run({ status: "Error", stderr: "MemoryError\n", return_code: null }, "Failed"),
      "MemoryError",
      true,
    ],
    ["an exit code", run({ return_code: 3 }, "Failed"), "Error: ended with exit code 3", true],
    [
      "that the time was over",
      run({ status: "TimeLimitExceeded", stdout: "so far", return_code: null }, "Failed"),
      "so far\nTimeoutError: stopped after 5 seconds",
      true,
    ],
  ];
  for (const [name, answer, text, executionFailed] of CASES) {
    test(name, async () =>
      expect(await answered(answer)).toEqual({ ok: true, text, executionFailed }),
    );
  }
});

describe("a failure of the tool is", () => {
  const CASES: readonly (readonly [string, unknown, number, RegExp])[] = [
    [
      "an error of the server's sandbox",
      run({}, "SandboxError", "no pod"),
      200,
      /sandbox failed: no pod/,
    ],
    [
      "an answer without a run",
      { status: "Failed", message: "m", run_result: null },
      200,
      /failed: m/,
    ],
    ["another status", { status: "Maybe" }, 200, /not a SandboxFusion answer at status/],
    ["no JSON", "<html>", 200, /is not JSON: <html>/],
    ["an HTTP status", { detail: "busy" }, 500, /HTTP 500/],
  ];
  for (const [name, answer, status, detail] of CASES) {
    test(name, async () => {
      const result = await answered(answer, status);
      expect(result).toMatchObject({ ok: false, reason: "error", text: "Error: python failed." });
      expect(!result.ok && result.detail).toMatch(detail);
    });
  }
  test("a server that is not there", async () => {
    const server = serveSandboxFusion(run({}));
    server[Symbol.dispose]();
    expect((await callTool(toolAt(server.url), "1", POLICY)).result).toMatchObject({
      ok: false,
      reason: "error",
    });
  });
  test("no code at all, which is not sent", async () => {
    using server = serveSandboxFusion(run({}));
    const { result } = await callTool(toolAt(server.url), "```python\n```", POLICY);
    expect(result).toMatchObject({
      ok: false,
      reason: "invalid_call",
      text: "Error: the code is empty.",
    });
    expect(server.requests).toEqual([]);
  });
});

test("a recording knows a snippet by its code and the limits, fenced or not", () => {
  const tool = toolAt("http://127.0.0.1:1/");
  expect(tool.normalise("```python\nprint(1)\n```")).toBe(tool.normalise("print(1)"));
  expect(tool.identity).toEqual({
    kind: "sandbox_fusion",
    settings: { url: "http://127.0.0.1:1/run_code", timeMs: 5000, memoryMb: 512 },
  });
});

describe("a traceback without paths:", () => {
  const syntax = `  File "/tmp/a.py", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n`;
  const library = `Traceback (most recent call last):
  File "/tmp/a.py", line 2, in <module>
    json.loads("{")
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
json.decoder.JSONDecodeError: Expecting property name
`;
  const CASES: readonly (readonly [string, string, string])[] = [
    [
      "an error",
      TRACEBACK,
      "line 5: f(0)\nline 2, in f: return 1 / x\nZeroDivisionError: division by zero",
    ],
    ["syntax", syntax, "line 1: x = = 1\nSyntaxError: invalid syntax"],
    [
      "a library's",
      library,
      'line 2: json.loads("{")\njson.decoder.JSONDecodeError: Expecting property name',
    ],
    ["none", "Killed\n", "Killed"],
    ["empty", "", ""],
  ];
  for (const [name, stderr, text] of CASES)
    test(name, () => expect(cleanTraceback(stderr)).toBe(text));
});
