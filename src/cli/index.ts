// `icrl index`: makes the file that the search tool and `icrl serve retriever` read, from a corpus
// of passages. Progress goes to stderr; stdout has one line at the end, or JSON lines.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { IndexReport } from "../tools/index-build.ts";
import type { IndexProgress } from "../tools/index-writer.ts";
import { count, duration } from "./screen/style.ts";

interface Options {
  readonly out?: string;
  readonly skipBadRows?: boolean;
  readonly restart?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("index")
    .description("make a search index (BM25) of a corpus: JSONL or Parquet, also .gz")
    .argument("<corpus...>", `files or globs of rows {"id", "contents"} or {"id", "title", "text"}`)
    .option("--out <file>", "the index (default: the corpus's name, .icrl-index)")
    .option("--skip-bad-rows", "leave out and count rows that hold no passage")
    .option("--restart", "begin again, whatever was begun or finished before")
    .option("--json", "one JSON object a line")
    .action(run);
}

async function run(patterns: readonly string[], options: Options): Promise<void> {
  const { matchingFiles, stemOf } = await import("../data/source-files.ts");
  const { buildIndex } = await import("../tools/index-build.ts");
  const files = patterns.flatMap(matchingFiles);
  const out = options.out ?? `${stemOf(onlyFile(files))}.icrl-index`;
  const { skipBadRows = false, restart = false, json = false } = options;
  const start = performance.now();
  using progress = json ? new JsonProgress() : new ProgressLines(process.stderr);
  using stop = new StopRequest();
  const report = await buildIndex({
    files,
    out,
    skipBadRows,
    restart,
    onProgress: (each) => progress.show(each),
    onBadRow: (fault) => progress.badRow(fault),
    shouldStop: () => stop.requested,
  });
  progress.end();
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(json ? jsonLine(report, out, seconds) : lastLine(report, out, seconds));
  if (report.outcome === "stopped") process.exitCode = 130;
}

function onlyFile(files: readonly string[]): string {
  const [first, ...more] = files;
  if (first !== undefined && more.length === 0) return first;
  throw new UserError("an index of several files needs a name", {
    where: "--out",
    hint: "--out corpus.icrl-index",
    exitCode: 2,
  });
}

function jsonLine(
  { outcome, passages, badRows, bytes }: IndexReport,
  file: string,
  seconds: number,
): string {
  const record = { type: "index", outcome, file, passages, bad_rows: badRows, bytes, seconds };
  return `${JSON.stringify(record)}\n`;
}

function lastLine(
  { outcome, passages, badRows, bytes }: IndexReport,
  out: string,
  seconds: number,
): string {
  const bad = badRows === 0 ? "" : `, ${badRows.toLocaleString("en")} bad rows left out`;
  const what = `${passages.toLocaleString("en")} passages${bad}`;
  if (outcome === "stopped") return `stopped after ${what}; the same command goes on there\n`;
  const file = `${out}  ${what}, ${(bytes / 1e6).toFixed(1)} MB`;
  return outcome === "kept" ? `${file}: was made before\n` : `${file}, ${duration(seconds)}\n`;
}

/** Ctrl-C: the first asks for an end after the batch, the second ends the process. */
class StopRequest implements Disposable {
  requested = false;

  constructor() {
    process.on("SIGINT", this.onSignal);
    process.on("SIGTERM", this.onSignal);
  }

  private readonly onSignal = (): void => {
    if (this.requested) process.exit(130);
    this.requested = true;
  };

  [Symbol.dispose](): void {
    process.off("SIGINT", this.onSignal);
    process.off("SIGTERM", this.onSignal);
  }
}

/** Bad rows that are shown one by one; more are only counted. */
const MAX_SHOWN = 5;

class JsonProgress implements Disposable {
  private numBad = 0;

  show({ phase, passages, badRows, share }: IndexProgress): void {
    const record = { type: "progress", phase, passages, bad_rows: badRows, share };
    process.stdout.write(`${JSON.stringify(record)}\n`);
  }

  badRow({ message, where }: UserError): void {
    if (++this.numBad > MAX_SHOWN) return;
    process.stdout.write(`${JSON.stringify({ type: "bad_row", where, why: message })}\n`);
  }

  end(): void {}

  [Symbol.dispose](): void {}
}

const REDRAW_MS = 200;
const LINE_MS = 5000;

/** One line that is written over on a terminal; elsewhere a line every few seconds. */
class ProgressLines implements Disposable {
  private readonly startMs = performance.now();
  private first: IndexProgress | undefined;
  private shownMs = performance.now();
  private phase: IndexProgress["phase"] = "reading";
  private isOpen = false;
  private numBad = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(progress: IndexProgress): void {
    if (this.first === undefined) return void (this.first = progress);
    const now = performance.now();
    const isDue = now - this.shownMs >= (this.stream.isTTY ? REDRAW_MS : LINE_MS);
    if (!isDue && progress.phase === this.phase) return;
    this.shownMs = now;
    this.phase = progress.phase;
    const line = this.line(progress, (now - this.startMs) / 1000);
    this.stream.write(this.stream.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
    this.isOpen = this.stream.isTTY;
  }

  badRow(fault: UserError): void {
    if (++this.numBad > MAX_SHOWN) return;
    this.end();
    this.stream.write(`left out: ${fault.describe()}\n`);
    if (this.numBad === MAX_SHOWN) this.stream.write("more bad rows are only counted\n");
  }

  end(): void {
    if (this.isOpen) this.stream.write("\n");
    this.isOpen = false;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Rate and time left are of this call, which may go on with an earlier one's rows. */
  private line({ phase, passages, share }: IndexProgress, seconds: number): string {
    const known = `${passages.toLocaleString("en")} passages`;
    if (phase !== "reading") return `${known}  ${phase}  ${duration(seconds)}`;
    const rate = (passages - this.first!.passages) / Math.max(seconds, 1e-3);
    const readShare = share - this.first!.share;
    const left = readShare > 0 ? `  ${duration((seconds * (1 - share)) / readShare)} left` : "";
    return `${known}  ${(100 * share).toFixed(0)} %  ${count(rate)}/s${left}`;
  }
}
