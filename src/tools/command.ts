// Any program of this machine as a tool. The recipe gives program and arguments as a list; no shell
// reads them. The input goes to standard input, unless an argument names it. The program sees only
// the environment that the recipe gives it and PATH, and runs in the folder that it names; this is
// no sandbox: it may do all that its user may. At the deadline, and when it is over, its whole
// process group is killed; a child that leaves the group is not.
//
// An input that begins with a dash can be an option to the program: put "--" before it, or use
// standard input.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { UserError } from "../config/errors.ts";
import { filled, placeholdersOf } from "../config/placeholders.ts";
import { type Arguments, argumentText, parseArguments } from "./arguments.ts";
import type { RecordableTool } from "./recorded.ts";
import type { ToolAnswer, ToolSpec } from "./tool.ts";

export interface CommandOptions {
  /** Program and arguments; `{name}` is a parameter, `{input}` the whole input. */
  readonly command: readonly string[];
  /** Where the program is. */
  readonly program: string;
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly maxOutputBytes: number;
}

export class CommandTool implements RecordableTool {
  private readonly running = new Set<ChildProcess>();
  private readonly usesInput: boolean;

  /** `variable`: of the environment, by name. */
  constructor(
    readonly name: string,
    readonly spec: ToolSpec,
    private readonly options: CommandOptions,
    private readonly variable: (name: string) => string,
  ) {
    const used = options.command.flatMap((part) => placeholdersOf(part).parameters);
    this.usesInput = used.length > 0;
  }

  get identity() {
    const { command, cwd } = this.options;
    return { kind: "command", settings: { command, cwd } };
  }

  normalise(input: string): string {
    parseArguments(this.spec, input);
    return input.trim();
  }

  async call(input: string, signal: AbortSignal): Promise<ToolAnswer> {
    const args = this.args(parseArguments(this.spec, input), input);
    const child = this.start(args);
    const kill = (): void => killGroup(child);
    signal.addEventListener("abort", kill);
    try {
      child.stdin!.on("error", () => undefined); // it need not read
      child.stdin!.end(this.usesInput ? "" : input);
      return await this.outcome(child);
    } finally {
      signal.removeEventListener("abort", kill);
      this.running.delete(child);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.running.forEach(killGroup);
  }

  private args(values: Arguments, input: string): readonly string[] {
    const parameter = (name: string): string =>
      Object.hasOwn(values, name) ? argumentText(values[name]) : name === "input" ? input : "";
    const [, ...parts] = this.options.command;
    return parts.map((part) => filled(part, parameter, this.variable));
  }

  private start(args: readonly string[]): ChildProcess {
    const { program, cwd, env } = this.options;
    const child = spawn(program, args, { cwd, env, detached: true, stdio: "pipe" });
    this.running.add(child);
    return child;
  }

  private async outcome(child: ChildProcess): Promise<ToolAnswer> {
    const { maxOutputBytes } = this.options;
    const ended = endOf(child);
    ended.then(
      () => killGroup(child), // what it left behind would keep the pipes open
      () => undefined,
    );
    const [end, out, err] = await Promise.all([
      ended,
      readSome(child.stdout!, maxOutputBytes, () => killGroup(child)),
      readSome(child.stderr!, maxOutputBytes, () => killGroup(child)),
    ]);
    if (out.cut || err.cut) return `${out.text.trimEnd()}\n[the output was too long]`.trimStart();
    if (end.signal !== null) throw new Error(`${this.name} died of ${end.signal}`);
    const said = out.text.trimEnd();
    if (end.code === 0) return said === "" ? "(no output)" : said;
    const why = err.text.trim() === "" ? `exit status ${end.code}` : err.text.trim();
    const text = said === "" ? `Error: ${why}` : `${said}\nError: ${why}`;
    return { text, executionFailed: true };
  }
}

interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

/** The first bytes of a stream, whole characters. What comes after is not read. */
async function readSome(stream: Readable, maxBytes: number, onTooMuch: () => void) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= maxBytes) continue;
    onTooMuch();
    break;
  }
  const kept = Buffer.concat(chunks).subarray(0, maxBytes);
  const text = new TextDecoder().decode(kept, { stream: true });
  return { text, cut: bytes > maxBytes };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // nothing of it is left
  }
}

/** Where a program is. Throws UserError where there is none. */
export function resolveProgram(
  program: string,
  cwd: string,
  path: string | undefined,
  where: string,
): string {
  if (!existsSync(cwd)) throw new UserError(`there is no folder ${cwd}`, { where: `${where}.cwd` });
  const found = Bun.which(program.includes("/") ? resolve(cwd, program) : program, {
    PATH: path ?? "",
  });
  if (found !== null) return found;
  const hint = program.includes("/") ? `looked for ${resolve(cwd, program)}` : "it is not in PATH";
  throw new UserError(`there is no program "${program}"`, { where, hint });
}
