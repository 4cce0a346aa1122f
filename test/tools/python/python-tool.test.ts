// What the policy reads of a snippet, and the life of the workers behind it.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { codeOf, PythonTool } from "../../../src/tools/python/python-tool.ts";
import { PythonSandbox } from "../../../src/tools/python/sandbox.ts";
import { SandboxError } from "../../../src/tools/python/worker.ts";
import { callTool, InvalidCallError } from "../../../src/tools/tool.ts";
import { HASTY, PATIENT, say, whyNoSandbox } from "../../helpers/python-sandbox.ts";

setDefaultTimeout(120_000); // for a busy machine

const reason = await whyNoSandbox();
const NEVER = new AbortController().signal;

/** Processes of bubblewrap that this process started. */
function sandboxes(): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const [, name, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))!;
      return name === "bwrap" && Number(parent) === process.pid;
    } catch {
      return false; // gone
    }
  });
}

describe.skipIf(reason !== undefined)(`a snippet${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let sandbox: PythonSandbox;
  beforeAll(async () => void (sandbox = await PythonSandbox.open({ workers: 1, limits: PATIENT })));
  afterAll(async () => sandbox[Symbol.asyncDispose]());

  const READ: readonly (readonly [string, string, string, boolean])[] = [
    ["its last value", "x = 6\nx * 7", "42", false],
    ["no value of a last statement", "x = 6", "(no output)", false],
    ["no None", "None", "(no output)", false],
    ["what it prints, not its last value", "print('a')\n42", "a", false],
    ["what it prints to errors", "import sys\nprint('a', file=sys.stderr)", "a", false],
    ["several lines", "print(1)\nprint(2)", "1\n2", false],
    ["any letters", "print('é' * 2, '数')", "éé 数", false],
    ["bytes that are no text", "import os\nos.write(1, b'a\\xffb')\nNone", "a\ufffdb", false],
    ["an end of input", "input()", "line 1: input()\nEOFError: EOF when reading a line", true],
    [
      "an error with its line",
      "x = 1\nx / 0",
      "line 2: x / 0\nZeroDivisionError: division by zero",
      true,
    ],
    [
      "an error with the way to it",
      "def f(x):\n    return g(x)\ndef g(x):\n    return x[3]\nf([])",
      "line 5: f([])\nline 2, in f: return g(x)\nline 4, in g: return x[3]\nIndexError: list index out of range",
      true,
    ],
    [
      "an error inside a library without its paths",
      "import json\njson.loads('{')",
      "line 2: json.loads('{')\njson.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
      true,
    ],
    [
      "what it printed before an error",
      "print(1)\n1 / 0",
      "1\nline 2: 1 / 0\nZeroDivisionError: division by zero",
      true,
    ],
    ["a syntax error", "x = = 1", "line 1: x = = 1\nSyntaxError: invalid syntax", true],
    ["an exit", "import sys\nsys.exit()", "(no output)", false],
    ["an exit with a code", "import sys\nsys.exit(3)", "SystemExit: 3", true],
    ["a silent end", "import os\nos._exit(5)", "Error: ended with exit code 5", true],
    [
      "an error that can't be told",
      "class E(Exception):\n  def __str__(self): 1 / 0\nraise E",
      "",
      true,
    ],
    [
      "what its threads print",
      "import threading\nt = threading.Thread(target=print, args=(1,))\nt.start()",
      "1",
      false,
    ],
    [
      "what its processes print",
      "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True).stdout)",
      "b'5\\n'",
      false,
    ],
    ["one value of two forks", "import os\nif os.fork(): os.wait()\n7", "7", false],
    ["names of its own module", "__name__", "'__main__'", false],
    [
      "imports of what it wrote",
      "open('mine.py', 'w').write('x = 5')\nimport mine\nmine.x",
      "5",
      false,
    ],
    [
      "pickles of its classes",
      "import pickle\nclass A: pass\ntype(pickle.loads(pickle.dumps(A()))).__name__",
      "'A'",
      false,
    ],
  ];
  for (const [name, code, text, executionFailed] of READ) {
    test(`gives ${name}`, async () => {
      const said = await say(sandbox, code);
      if (text !== "") expect(said.text).toBe(text);
      expect(said.executionFailed).toBe(executionFailed);
    });
  }
  test("gives the same order of a set each time", async () => {
    const code = "list({'a', 'b', 'c', 'd', 'e'})";
    expect(await say(sandbox, code)).toEqual(await say(sandbox, code));
  });
  test("keeps what it printed before its time was over", async () => {
    const said = await say(sandbox, "print('so far')\nwhile True: pass", HASTY);
    expect(said.text).toBe("so far\nTimeoutError: stopped after 0.7 seconds");
  });
  test("has numpy and sympy when the host has them", async () => {
    const { numpy, sympy } = sandbox.host.packages;
    const cases = [
      [numpy, "import numpy as np\nint(np.arange(5).sum())", "10"],
      [sympy, "from sympy import *\nx = symbols('x')\nintegrate(2 * x)", "x**2"],
    ] as const;
    for (const [version, code, text] of cases) {
      if (version !== undefined) expect((await say(sandbox, code)).text).toBe(text);
    }
  });
});

describe("the code of a call", () => {
  const CASES: readonly (readonly [string, string])[] = [
    ["print(1)", "print(1)"],
    ["\n  x = 1\n", "  x = 1"],
    ["```python\nprint(1)\n```", "print(1)"],
    ["```py\nprint(1)\n", "print(1)"],
    ["```\nprint(1)\n```\n", "print(1)"],
    ["First:\n```python\n1\n```\nthen\n```python\nif x:\n    2\n```", "if x:\n    2"],
    ["print('```')", "print('```')"],
  ];
  for (const [input, code] of CASES) {
    test(`${JSON.stringify(input)} is ${JSON.stringify(code)}`, () =>
      expect(codeOf(input)).toBe(code));
  }
  test("is not empty", () => {
    for (const input of ["", " \n", "```python\n```"])
      expect(() => codeOf(input)).toThrow(InvalidCallError);
  });
});

describe.skipIf(reason !== undefined)("the tool", () => {
  test("answers many calls at a time, each its own", async () => {
    await using tool = await PythonTool.open({ workers: 3, limits: PATIENT });
    const calls = Array.from({ length: 40 }, (_, i) => tool.call(`print(${i})`, NEVER));
    const texts = (await Promise.all(calls)).map((it) => (it as { text: string }).text);
    expect(texts).toEqual(Array.from({ length: 40 }, (_, i) => String(i)));
    expect(sandboxes().length).toBe(3);
  });
  test("starts no more workers than calls need, and leaves none behind", async () => {
    {
      await using tool = await PythonTool.open({ workers: 8, limits: PATIENT });
      for (let i = 0; i < 5; i++) await tool.call("1", NEVER);
      expect(sandboxes().length).toBe(1);
    }
    expect(sandboxes()).toEqual([]);
  });
  test("stops a snippet whose call is aborted, and those that wait", async () => {
    await using tool = await PythonTool.open({ workers: 1, limits: PATIENT });
    const [one, two] = [new AbortController(), new AbortController()];
    const running = tool.call("while True: pass", one.signal);
    const waiting = tool.call("1", two.signal);
    two.abort(new Error("two"));
    await expect(waiting).rejects.toThrow("two");
    one.abort(new Error("one"));
    await expect(running).rejects.toThrow("one");
    expect(await tool.call("2", NEVER)).toEqual({ text: "2", executionFailed: false });
  });
  test("replaces a worker that dies; its call is a typed failure", async () => {
    await using tool = await PythonTool.open({ workers: 1, limits: PATIENT });
    const running = callTool(tool, "import time\ntime.sleep(20)", {
      deadlineMs: 60_000,
      retries: 0,
      backoffMs: 1,
    });
    for (const pid of sandboxes()) process.kill(pid, "SIGKILL");
    const { result } = await running;
    expect(result).toMatchObject({ ok: false, reason: "error", text: "Error: python failed." });
    expect(await tool.call("2", NEVER)).toEqual({ text: "2", executionFailed: false });
  });
  test("refuses calls after it is closed, and closes twice", async () => {
    const tool = await PythonTool.open({ workers: 1, limits: PATIENT });
    await tool[Symbol.asyncDispose]();
    await tool[Symbol.asyncDispose]();
    await expect(tool.call("1", NEVER)).rejects.toThrow(SandboxError);
  });
  test("passes on that the code failed", async () => {
    await using tool = await PythonTool.open({ workers: 1, limits: PATIENT });
    const policy = { deadlineMs: 60_000, retries: 0, backoffMs: 1 };
    expect((await callTool(tool, "1 / 0", policy)).result).toMatchObject({
      ok: true,
      executionFailed: true,
    });
    expect((await callTool(tool, " ", policy)).result).toMatchObject({
      ok: false,
      reason: "invalid_call",
      text: "Error: the code is empty.",
    });
  });
});
