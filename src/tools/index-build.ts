// Makes the file that Bm25Index.open reads. Rows go into a hidden file beside it (index-writer.ts);
// at the end a compact copy appears under the real name, whole. A call that was killed is repeated
// and goes on where the hidden file ends.

import { Database } from "bun:sqlite";
import { existsSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "../config/errors.ts";
import { moveIntoPlace } from "../run/atomic.ts";
import { markOf, refuseOther, type SourceMark } from "./corpus.ts";
import { brokenIndex, checkTables } from "./index-schema.ts";
import {
  type IndexProgress,
  IndexWriter,
  openPartial,
  type Position,
  readPosition,
  readSources,
} from "./index-writer.ts";

export interface IndexBuildOptions {
  readonly files: readonly string[];
  readonly out: string;
  /** Rows that hold no passage are counted and left out; else the first one is an error. */
  readonly skipBadRows: boolean;
  /** What was begun or finished before does not count. */
  readonly restart: boolean;
  readonly onProgress: (progress: IndexProgress) => void;
  readonly onBadRow?: (fault: UserError) => void;
  /** Looked at between batches. */
  readonly shouldStop?: () => boolean;
  /** Of a transaction: what a kill may cost. */
  readonly commitRows?: number;
}

export interface IndexReport {
  /** `stopped`: as shouldStop wanted. `kept`: it was finished before. */
  readonly outcome: "made" | "kept" | "stopped";
  readonly passages: number;
  readonly badRows: number;
  /** Of the index; 0 where it was stopped. */
  readonly bytes: number;
}

/** Throws UserError for a row or a file that is wrong, and where something else stands in the way. */
export async function buildIndex(options: IndexBuildOptions): Promise<IndexReport> {
  const { out, files, restart } = options;
  const marks = files.map(markOf);
  const paths = pathsOf(out);
  const before = existsSync(out) ? finishedBefore(out) : undefined;
  if (restart) remove(paths.partial, paths.copy);
  else if (before !== undefined) {
    refuseOther(before.sources, marks, out);
    return { outcome: "kept", ...countsOf(before.position), bytes: statSync(out).size };
  }
  try {
    return await build(options, marks, paths);
  } catch (error) {
    throw writeError(error, paths.partial);
  }
}

async function build(
  options: IndexBuildOptions,
  marks: readonly SourceMark[],
  { partial, copy }: IndexPaths,
): Promise<IndexReport> {
  const { files, out } = options;
  using writer = new IndexWriter(openPartial(partial, marks), options, marks);
  const position = await writer.read();
  const isRead = position.file === files.length;
  if (isRead && position.passages === 0) {
    throw new UserError("the corpus holds no passages", { where: files.join(", ") });
  }
  if (!isRead || !(await writer.merge())) {
    return { outcome: "stopped", ...countsOf(position), bytes: 0 };
  }
  remove(copy);
  writer.copyTo(copy);
  moveIntoPlace(copy, out);
  writer[Symbol.dispose]();
  remove(partial);
  return { outcome: "made", ...countsOf(position), bytes: statSync(out).size };
}

const countsOf = ({ passages, badRows }: Position) => ({ passages, badRows });

/** Names that no reader looks for. */
interface IndexPaths {
  readonly partial: string;
  readonly copy: string;
}

function pathsOf(out: string): IndexPaths {
  const hidden = join(dirname(out), `.${basename(out)}`);
  return { partial: `${hidden}.partial`, copy: `${hidden}.copy` };
}

function remove(...databases: readonly string[]): void {
  for (const path of databases) {
    for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(path + end, { force: true });
  }
}

/** Throws UserError where the file is no index, so that nothing else is written over. */
function finishedBefore(out: string) {
  try {
    using db = new Database(out, { readonly: true });
    checkTables(db, out);
    return { sources: readSources(db), position: readPosition(db) };
  } catch (error) {
    const broken = brokenIndex(error, out);
    if (!(broken instanceof UserError)) throw broken;
    const hint = "remove it, or choose another --out";
    throw new UserError(broken.message, { where: out, hint });
  }
}

function writeError(error: unknown, path: string): unknown {
  const { code } = error as { readonly code?: string };
  const where = dirname(path);
  if (code === "SQLITE_BUSY") {
    return new UserError("another icrl index is writing this index", { where: path });
  }
  if (code === "SQLITE_FULL" || code === "ENOSPC") {
    const hint = "with more room the same command goes on";
    return new UserError("the disk is full", { where, hint });
  }
  if (code === "SQLITE_CANTOPEN" || code === "SQLITE_READONLY") {
    return new UserError("no index can be written here", { where, hint: "choose another --out" });
  }
  const broken = brokenIndex(error, path);
  if (broken === error) return error;
  const hint = "--restart makes it again from the first row";
  return new UserError((broken as UserError).message, { where: path, hint });
}
