// Other programs on the same work: Python scripts of peers/ under a Python that has the packages,
// and llama.cpp by way of npm's node-llama-cpp from a folder outside the project. Each is a process that has loaded and warmed up before it is asked, and
// works only while it is: it answers one line of JSON to every line it reads.

import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { UserError } from "../src/config/errors.ts";

export interface Answer {
  readonly seconds: number;
  readonly peak_bytes: number; // resident, since the process began
  readonly [more: string]: unknown;
}

export interface OpponentOptions {
  readonly against: boolean;
  /** A folder to install node-llama-cpp into, or one that has it. */
  readonly llama: string | undefined;
  readonly python: string;
  /** The folder of the Python scripts; absent: that of the checkout. */
  readonly peers?: string | undefined;
}

const PEERS = join(import.meta.dir, "peers");

export class Opponents {
  private lacking: readonly string[] | undefined;
  private llamaProblem: string | undefined;
  private readonly folder: string;

  constructor(
    readonly options: OpponentOptions,
    private readonly say: (line: string) => void,
  ) {
    this.folder = resolve(options.peers ?? PEERS);
    if (options.against && !existsSync(join(this.folder, "common.py"))) {
      const hint = "the scripts that it runs are in bench/peers of a checkout: --peers FOLDER";
      throw new UserError("--against needs a checkout", { where: "--against", hint });
    }
  }

  /** A script of peers/, loaded and warm; undefined where it is not wanted or can't run here. */
  async script(name: string, packages: readonly string[], work: unknown): Promise<Peer | undefined> {
    if (!this.options.against) return undefined;
    const lacking = packages.filter((each) => this.lacks().includes(each));
    if (lacking.length > 0) {
      this.say(`${this.options.python} lacks ${lacking.join(", ")}: not compared with ${name}`);
      return undefined;
    }
    return this.open(name, [this.options.python, "-B", join(this.folder, `${name}.py`), argumentOf(work)]);
  }

  /** llama.cpp with the model file of `work`. */
  async llama(name: string, work: unknown): Promise<Peer | undefined> {
    const { llama: folder } = this.options;
    if (!this.hasLlama || folder === undefined) return undefined;
    const script = join(this.folder, "llama.mjs");
    return this.open(name, ["node", script, folder, argumentOf(work)]);
  }

  /** Installs it where it is wanted and not there. */
  get hasLlama(): boolean {
    this.llamaProblem ??= this.findLlama();
    return this.llamaProblem === "";
  }

  private findLlama(): string {
    const { against, llama: folder } = this.options;
    if (!against) return "not wanted";
    const problem = folder === undefined ? "no --llama FOLDER" : installLlama(folder);
    if (problem !== "") this.say(`${problem}: not compared with llama.cpp`);
    return problem;
  }

  private async open(name: string, command: readonly string[]): Promise<Peer | undefined> {
    const peer = new Peer(name, command);
    try {
      await peer.warm;
      return peer;
    } catch (error) {
      this.say(`${(error as Error).message}: not compared with ${name}`);
      peer[Symbol.dispose]();
      return undefined;
    }
  }

  private lacks(): readonly string[] {
    this.lacking ??= missingPackages(this.options.python);
    return this.lacking;
  }
}

const PACKAGES = ["torch", "transformers", "trl", "datasets", "accelerate"];

function missingPackages(python: string): readonly string[] {
  const code =
    "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if not u.find_spec(n)])";
  if (Bun.which(python) === null) return PACKAGES;
  const found = Bun.spawnSync([python, "-c", code, ...PACKAGES]);
  return found.success ? found.stdout.toString().trim().split(/\s+/).filter(Boolean) : PACKAGES;
}

/** Returns what went wrong, or "". Only this machine's prebuilt library is fetched. */
function installLlama(folder: string): string {
  if (existsSync(join(folder, "node_modules", "node-llama-cpp"))) return "";
  const platform = `@node-llama-cpp/${process.platform}-${process.arch}`;
  const quiet = ["--no-audit", "--no-fund", "--omit=optional", "--loglevel=error"];
  const command = ["npm", "install", "--prefix", folder, ...quiet, "node-llama-cpp", platform];
  const run = Bun.spawnSync(command, { stderr: "pipe", stdin: "ignore" });
  return run.success ? "" : `npm install node-llama-cpp: ${lastLine(run.stderr.toString())}`;
}

const argumentOf = (work: unknown): string =>
  JSON.stringify({ threads: availableParallelism(), ...(work as object) });

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";

/** One process. Its last line on stderr says why it ended early. */
export class Peer implements Disposable {
  /** Facts that it tells once it is ready: versions and the like. */
  readonly warm: Promise<Readonly<Record<string, unknown>>>;
  private readonly process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  private readonly lines: AsyncGenerator<string, void>;
  private readonly stderr: Promise<string>;

  constructor(
    readonly name: string,
    command: readonly string[],
  ) {
    const pipes = { stdin: "pipe", stdout: "pipe", stderr: "pipe" } as const;
    this.process = Bun.spawn([...command], pipes);
    this.lines = linesOf(this.process.stdout);
    this.stderr = new Response(this.process.stderr).text();
    this.warm = this.next();
  }

  /** Does the work once. */
  async ask(): Promise<Answer> {
    this.process.stdin.write("\n");
    await this.process.stdin.flush();
    return (await this.next()) as Answer;
  }

  private async next(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await this.lines.next();
    if (done !== true) return JSON.parse(value) as Record<string, unknown>;
    throw new Error(`${this.name} ended: ${lastLine(await this.stderr)}`);
  }

  [Symbol.dispose](): void {
    this.process.kill();
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
