import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import { type ParameterSchemas, specOf } from "../../src/tools/arguments.ts";
import { type CommandOptions, CommandTool, resolveProgram } from "../../src/tools/command.ts";
import { callTool, type CallPolicy } from "../../src/tools/tool.ts";

setDefaultTimeout(60_000);

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "icrl-command-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const PATH = "/usr/bin:/bin";
const POLICY: CallPolicy = { deadlineMs: 30_000, retries: 0, backoffMs: 1 };

interface Change extends Partial<CommandOptions> {
  readonly parameters?: ParameterSchemas;
  readonly policy?: Partial<CallPolicy>;
}

function run(command: readonly string[], input: string, change: Change = {}) {
  const { parameters, policy, ...rest } = change;
  const program = resolveProgram(command[0]!, folder, PATH, "tool.calc");
  const options = { command, program, cwd: folder, env: { PATH }, maxOutputBytes: 10_000, ...rest };
  const tool = new CommandTool("calc", specOf("", parameters), options, (name) => `<${name}>`);
  return callTool(tool, input, { ...POLICY, ...policy });
}
const shell = (script: string): readonly string[] => ["sh", "-c", script];

describe("the input", () => {
  test("goes to standard input", async () => {
    expect((await run(["cat"], "a\nb")).result).toEqual({ ok: true, text: "a\nb" });
  });

  test("is an argument where one says so, and nothing in it is a shell's", async () => {
    const input = '$(touch gone) `id` "; rm -rf * # {input}';
    const { result } = await run(["printf", "%s|", "{input}", "x={input}"], input);
    expect(result.text).toBe(`${input}|x=${input}|`);
    expect(existsSync(join(folder, "gone"))).toBe(false);
  });

  test("is JSON where there are several parameters", async () => {
    const parameters = { a: { type: "number" }, b: { type: "string", default: "none" } };
    const { result } = await run(["printf", "%s %s %s", "{a}", "{b}", "${KEY}"], '{"a": 2.5}', {
      parameters,
    });
    expect(result.text).toBe("2.5 none <KEY>");
  });

  test("need not be read", async () => {
    expect((await run(["true"], "x".repeat(1e6))).result.text).toBe("(no output)");
  });

  test("is refused where it is empty", async () => {
    const { result } = await run(["cat"], "  ");
    expect(result).toMatchObject({ reason: "invalid_call", text: "Error: the call is empty." });
  });
});

test("folder and environment are the recipe's and nothing else", async () => {
  writeFileSync(join(folder, "here"), "");
  const { result } = await run(shell("ls; env | sort"), "x", { env: { PATH, KEY: "k" } });
  const lines = result.text.split("\n").filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line));
  expect(lines).toEqual(["here", "KEY=k", `PATH=${PATH}`]);
});

describe("an error of the program is an observation", () => {
  const table: readonly [claim: string, script: string, text: string][] = [
    ["what it said, and why it failed", "echo 1; echo bad >&2; exit 2", "1\nError: bad"],
    ["its status where it says nothing", "exit 3", "Error: exit status 3"],
  ];
  test.each(table)("%s", async (_claim, script, text) => {
    const { result } = await run(shell(script), "x", { policy: { retries: 3 } });
    expect(result).toEqual({ ok: true, text, executionFailed: true });
  });
});

describe("a program that", () => {
  test("dies of a signal is a failure", async () => {
    const { result } = await run(shell("kill -SEGV $$"), "x");
    expect(result).toMatchObject({ reason: "error", text: "Error: calc failed." });
    if (!result.ok) expect(result.detail).toBe("calc died of SIGSEGV");
  });

  test("never ends is killed at the deadline, with all its children", async () => {
    const pids = join(folder, "pids");
    const script = `sleep 1000 & echo $! > ${pids}; echo $$ >> ${pids}; sleep 1000`;
    const policy = { deadlineMs: 1500 };
    const { result } = await run(shell(script), "x", { policy });
    expect(result).toMatchObject({ reason: "timeout", text: "Error: calc took too long." });
    const started = readFileSync(pids, "utf8").trim().split("\n").map(Number);
    expect(started.length).toBe(2);
    for (const pid of started) await death(pid);
  });

  test("leaves a child behind is not waited for", async () => {
    const { result } = await run(shell("sleep 1000 & echo done"), "x");
    expect(result.text).toBe("done");
  });

  test("writes without end is stopped at the limit", async () => {
    const { result } = await run(["yes"], "x", { maxOutputBytes: 8 });
    expect(result.text).toBe("y\ny\ny\ny\n[the output was too long]");
  });

  test("writes half a character at the limit is cut before it", async () => {
    const { result } = await run(shell("printf 'ääää'"), "x", { maxOutputBytes: 3 });
    expect(result.text).toBe("ä\n[the output was too long]");
  });
});

async function death(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
}

/** A killed process that nobody has waited for yet is dead, too. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/^\d+ \(.*\) Z/.test(readFileSync(path, "utf8"));
}

describe("before a run", () => {
  const table: readonly [claim: string, program: string, cwd: string, message: RegExp][] = [
    ["a program that is not in PATH", "no-such", "/", /^there is no program "no-such".* in PATH$/],
    ["a file that is not there", "./calc", "/", /^there is no program ".\/calc".* for \/calc$/],
    ["a folder that is not there", "cat", "/no/such", /^there is no folder \/no\/such/],
  ];
  test.each(table)("%s is one line", (_claim, program, cwd, message) => {
    let line = "";
    try {
      resolveProgram(program, cwd, PATH, "tool.calc");
    } catch (error) {
      if (error instanceof UserError) line = error.describe();
    }
    expect(line).toMatch(message);
    expect(line).toContain("(tool.calc");
  });
});
