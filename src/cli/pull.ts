// `icrl pull`: a model from a Hugging Face hub into the local cache. Progress goes to stderr;
// stdout has one line, the model's folder.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { PullProgress } from "../model/hub/pull.ts";

interface Options {
  readonly revision?: string;
}

export function register(program: Command): void {
  program
    .command("pull")
    .description("fetch a model from a Hugging Face hub into the local cache")
    .argument("<name>", "OWNER/NAME, as in Qwen/Qwen2.5-3B-Instruct")
    .option("--revision <name>", "a branch, a tag or a commit (default: main)")
    .action(run);
}

async function run(text: string, { revision }: Options): Promise<void> {
  const { cacheFolder, parseModelName } = await import("../model/hub/cache.ts");
  const { hubClient } = await import("../model/hub/client.ts");
  const { pullModel } = await import("../model/hub/pull.ts");
  const model = parseModelName(revision === undefined ? text : `${text}@${revision}`);
  if (model === undefined) {
    const hint = "OWNER/NAME, as in Qwen/Qwen2.5-3B-Instruct";
    throw new UserError(`"${text}" is no model's name`, { hint, exitCode: 2 });
  }
  using progress = new ProgressLines(process.stderr);
  const client = hubClient(process.env);
  const cache = cacheFolder(process.env);
  const onProgress = (each: PullProgress): void => progress.show(each);
  const pulled = await pullModel(model, { client, cache, onProgress });
  progress.end();
  process.stdout.write(`${pulled.folder}\n`);
}

const REDRAW_MS = 200;

/** A line a file: on a terminal it is written over while the file comes, elsewhere once. */
class ProgressLines implements Disposable {
  private file = "";
  private finished = true;
  private startMs = 0;
  private startBytes = 0;
  private drawnMs = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(progress: PullProgress): void {
    const { file, present, bytes, waiting } = progress;
    const now = performance.now();
    if (file !== this.file) this.begin(file, present, now);
    if (waiting) return void this.stream.write(`${file}  another pull is fetching it; waiting\n`);
    const done = present === bytes;
    if (this.finished || (!done && now - this.drawnMs < REDRAW_MS)) return;
    this.finished = done;
    this.drawnMs = now;
    if (this.stream.isTTY) this.stream.write(`\r${this.line(progress, now)}\x1b[K`);
    if (!this.stream.isTTY && done) this.stream.write(`${file}  ${size(bytes)}\n`);
    if (this.stream.isTTY && done) this.stream.write("\n");
  }

  end(): void {
    if (!this.finished && this.stream.isTTY) this.stream.write("\n");
    this.finished = true;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  private begin(file: string, present: number, now: number): void {
    this.file = file;
    this.finished = false;
    this.startMs = now;
    this.startBytes = present;
  }

  private line({ file, present, bytes }: PullProgress, now: number): string {
    if (present === bytes) return `${file}  ${size(bytes)}`;
    const rate = (present - this.startBytes) / Math.max(1e-3, (now - this.startMs) / 1000);
    const seconds = Math.round((bytes - present) / Math.max(rate, 1));
    const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
    return `${file}  ${size(present)} of ${size(bytes)}  ${size(rate)}/s  ${left}`;
  }
}

function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes < 1 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 2)} ${units[power]}`;
}
