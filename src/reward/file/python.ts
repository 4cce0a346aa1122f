// A reward in Python: one process for the whole run that speaks JSON lines with driver.py. Calls
// are one after the other, in the order asked. The process has the rights of icrl: no sandbox.

import type { Subprocess } from "bun";
import { UserError } from "../../config/errors.ts";
import { ScoringError } from "../scoring-error.ts";
import driver from "./driver.py" with { type: "text" };
import { type RewardFile, type RewardInput, WANTED } from "./reward-file.ts";

interface Reply {
  readonly ready?: true;
  readonly value?: unknown;
  readonly error?: string;
  /** Of the user's file. */
  readonly line?: number | null;
  /** The error is about what came back. */
  readonly unfit?: true;
}

export interface PythonOptions {
  /** Of one call. */
  readonly deadlineMs: number;
  /** Sees what the user's code prints. */
  readonly print: (text: string) => void;
  /** The program; absent: python3 of the PATH. */
  readonly python?: string;
}

type Child = Subprocess<"pipe", "pipe", "pipe">;

const HINT = "wanted: def reward(question, golds, answer, **rest): return 1.0";
const MAX_SAID = 2000;
/** Of loading the file at least: it may import much. */
const START_MS = 60_000;

export class PythonFile implements RewardFile {
  private readonly lines: AsyncGenerator<string>;
  private said = "";
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly path: string,
    private readonly child: Child,
    private readonly options: PythonOptions,
  ) {
    this.lines = linesOf(child.stdout);
    void this.listen();
  }

  /** `path` is absolute. Throws UserError where it holds no reward or there is no Python. */
  static async open(path: string, options: PythonOptions): Promise<PythonFile> {
    const python = Bun.which(options.python ?? "python3");
    if (python === null) {
      const hint = "install it (Debian package python3), or write the reward in TypeScript";
      throw new UserError("a reward file in Python needs python3, which is not on the PATH", {
        where: path,
        hint,
      });
    }
    const child = Bun.spawn([python, "-u", "-c", driver, path], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const file = new PythonFile(path, child, options);
    const reply = await file.reply(Math.max(START_MS, options.deadlineMs));
    if (reply.ready === true) return file;
    await file[Symbol.asyncDispose]();
    throw new UserError(reply.error ?? "it did not start", {
      where: file.place(reply),
      hint: HINT,
    });
  }

  reward(input: RewardInput): Promise<unknown> {
    const result = this.turn.then(() => this.ask(input));
    this.turn = result.catch(() => undefined);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  private async ask(input: RewardInput): Promise<unknown> {
    this.child.stdin.write(`${JSON.stringify(pythonRow(input))}\n`);
    void this.child.stdin.flush();
    const reply = await this.reply(this.options.deadlineMs);
    if (reply.error === undefined) return reply.value;
    const hint = reply.unfit === true ? `wanted: ${WANTED}` : undefined;
    throw new ScoringError(reply.error, { task: input.id, where: this.place(reply), hint });
  }

  /** The next line, or an error in its place where the process ends or hangs, which ends it. */
  private async reply(deadlineMs: number): Promise<Reply> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.child.kill("SIGKILL");
    }, deadlineMs);
    const { done, value } = await this.lines.next();
    clearTimeout(timer);
    if (done !== true) return JSON.parse(value) as Reply;
    if (isLate) return { error: `the reward file took longer than ${deadlineMs} ms` };
    const code = await this.child.exited;
    const last = this.said.trim().split("\n").at(-1);
    const why = last === undefined || last === "" ? "" : `: ${last}`;
    return { error: `the reward file's Python ended with exit code ${code}${why}` };
  }

  private place({ line }: Reply): string {
    return typeof line === "number" ? `${this.path}:${line}` : this.path;
  }

  private async listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const part of this.child.stderr) {
      const text = decoder.decode(part, { stream: true });
      this.said = (this.said + text).slice(-MAX_SAID);
      this.options.print(text);
    }
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of stream) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** As Python names things. */
function pythonRow({ policyText, toolCalls, tests, ...same }: RewardInput) {
  const calls = toolCalls.map(({ tool, input, result, latencyMs }) => ({
    tool,
    input,
    ok: result.ok,
    text: result.text,
    reason: result.ok ? null : result.reason,
    latency_ms: latencyMs,
  }));
  return { ...same, policy_text: policyText, tool_calls: calls, tests: pythonTests(tests) };
}

function pythonTests(tests: RewardInput["tests"]) {
  if (tests?.kind !== "humaneval") return tests;
  const { entryPoint, ...rest } = tests;
  return { ...rest, entry_point: entryPoint };
}
