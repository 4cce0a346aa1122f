// One zygote in its sandbox, as a handle: asked for one run at a time, ended by dispose. A zygote
// that dies or does not answer in time is an error of the run, and the worker is of no more use.
// Not here: how many workers there are (pool.ts).

import { writeFileSync, writeSync } from "node:fs";
import type { Subprocess } from "bun";
import { z } from "zod";
import { bubblewrapArguments, INNER_USER, ROOT_FDS } from "./bubblewrap.ts";
import candidateSource from "./candidate.py" with { type: "text" };
import { frame, FrameReader, StreamEndedError } from "./frames.ts";
import type { SandboxHost } from "./host.ts";
import judgeSource from "./judge.py" with { type: "text" };
import type { SandboxLimits } from "./limits.ts";
import lockdownSource from "./lockdown.py" with { type: "text" };
import pipesSource from "./pipes.py" with { type: "text" };
import { machineFacts, refusal } from "./refusal.ts";
import snippetSource from "./snippet.py" with { type: "text" };
import sweepSource from "./sweep.py" with { type: "text" };
import valuesSource from "./values.py" with { type: "text" };
import zygoteSource from "./zygote.py" with { type: "text" };

/** What the zygote is asked; its child reads the texts in order. */
export interface RunRequest {
  readonly kind: "snippet" | "tests";
  /** Modules that the zygote imports before, and keeps. */
  readonly preload: readonly string[];
  readonly texts: readonly string[];
}

/** How a run ended: by itself, or killed at a limit. */
export type Outcome = "exit" | "timeout" | "output" | "disk" | "cancelled";
export interface RunResult {
  readonly outcome: Outcome;
  /** Exit code; negative: the signal that killed it. */
  readonly status: number;
  /** A snippet's output and its report, or the verdict of tests. */
  readonly parts: readonly string[];
}

/** The sandbox broke down under a run, or could not take it. */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
}

const replySchema = z.object({
  outcome: z.enum(["exit", "timeout", "output", "disk", "cancelled"]),
  status: z.number(),
  lengths: z.array(z.int().min(0)),
  last: z.boolean(),
});
const helloSchema = z.union([z.object({ ready: z.string() }), z.object({ problem: z.string() })]);

const SOURCES = {
  icrl_lockdown: lockdownSource,
  icrl_pipes: pipesSource,
  icrl_snippet: snippetSource,
  icrl_sweep: sweepSource,
  icrl_values: valuesSource,
  icrl_candidate: candidateSource,
  icrl_judge: judgeSource,
  icrl_zygote: zygoteSource,
};
const BOOT = `
import json, sys, types
for name, text in json.loads(sys.argv.pop()).items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
`;
/** First to go when memory runs out: the snippets, not the training. */
const SHELL = ["/bin/sh", "-c", 'echo 1000 > /proc/self/oom_score_adj; exec "$@"', "sh"];

/** Beyond the time of the run, before a silent zygote is killed. */
const GRACE_MS = 30_000;
/** Starting takes a fraction of a second; this is for a machine that is busy. */
const START_MS = 120_000;
const MAX_SAID = 2000;

export class Worker {
  private isOver = false;
  private said = "";

  private constructor(
    private readonly child: Subprocess<"pipe", "pipe", "pipe">,
    private readonly reader: FrameReader,
  ) {
    void this.listen();
  }

  /** Throws UserError where no sandbox can be made on this machine. */
  static async start(host: SandboxHost, diskBytes: number): Promise<Worker> {
    const isRoot = process.getuid?.() === 0;
    const child = spawn(host, diskBytes, isRoot);
    const worker = new Worker(child, new FrameReader(child.stdout));
    const timer = setTimeout(() => worker.kill(), START_MS);
    try {
      if (isRoot) await mapUsers(child);
      await worker.hello();
      return worker;
    } catch (error) {
      await worker.end();
      if (!(error instanceof StreamEndedError)) throw error;
      throw refusal(worker.said, machineFacts());
    } finally {
      clearTimeout(timer);
    }
  }

  /** No more runs can be asked of it. */
  get isDead(): boolean {
    return this.isOver || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Rejects with SandboxError where the zygote dies or hangs. `signal`: ends it as cancelled. */
  async run(request: RunRequest, limits: SandboxLimits, signal: AbortSignal): Promise<RunResult> {
    const timer = setTimeout(() => this.kill(), limits.timeMs + GRACE_MS);
    const cancel = () => this.send([JSON.stringify({ kind: "cancel" })]);
    signal.addEventListener("abort", cancel);
    try {
      const { kind, preload, texts } = request;
      this.send([JSON.stringify({ kind, preload, limits }), ...texts]);
      return await this.reply();
    } catch (error) {
      await this.end();
      if (!(error instanceof StreamEndedError)) throw error;
      throw new SandboxError(`the sandbox broke down: ${this.said.trim() || "it was killed"}`);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Kills everything in the sandbox; twice is safe. */
  async end(): Promise<void> {
    this.kill();
    await this.child.exited;
  }

  private kill(): void {
    this.isOver = true;
    this.child.kill("SIGKILL");
  }

  private send(texts: readonly string[]): void {
    for (const text of texts) this.child.stdin.write(frame(text));
    void this.child.stdin.flush();
  }

  private async hello(): Promise<void> {
    const hello = helloSchema.parse(await this.reader.json());
    if ("problem" in hello) throw refusal(hello.problem, machineFacts());
  }

  private async reply(): Promise<RunResult> {
    const { outcome, status, lengths, last } = replySchema.parse(await this.reader.json());
    const parts: string[] = [];
    for (const length of lengths) parts.push(await this.reader.text(length));
    if (last) this.kill();
    return { outcome, status, parts };
  }

  /** Keeps the end of what it complains about. */
  private async listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const part of this.child.stderr) {
      this.said = (this.said + decoder.decode(part)).slice(-MAX_SAID);
    }
  }
}

function spawn(host: SandboxHost, diskBytes: number, isRoot: boolean) {
  const settings = { user: isRoot ? INNER_USER : null, path: host.path };
  const python = [host.executable, "-s", "-S", "-B", "-W", "ignore", "-X", "utf8", "-c", BOOT];
  const command = [
    ...SHELL,
    host.bwrap,
    ...bubblewrapArguments(host, { diskBytes, isRoot }),
    ...python,
    JSON.stringify(settings),
    JSON.stringify(SOURCES),
  ];
  const more = isRoot ? (["pipe", "pipe"] as const) : [];
  return Bun.spawn(command, { stdio: ["pipe", "pipe", "pipe", ...more], env: {} }) as Subprocess<
    "pipe",
    "pipe",
    "pipe"
  >;
}

/** Root outside is root inside until the zygote becomes the other user, who is nobody outside. */
const USERS = `0 0 1\n${INNER_USER} 65534 1\n`;

async function mapUsers({ stdio }: Subprocess<"pipe", "pipe", "pipe">): Promise<void> {
  const [info, go] = [stdio[ROOT_FDS.info], stdio[ROOT_FDS.go]] as (number | undefined)[];
  const said = await Bun.file(info!).text();
  if (said === "") return; // it has ended; its complaint is on stderr
  const pid = z.object({ "child-pid": z.int() }).parse(JSON.parse(said))["child-pid"];
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${pid}/${map}`, USERS);
  writeSync(go!, "x");
}
