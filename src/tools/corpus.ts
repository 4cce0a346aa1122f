// A corpus to search: files of rows, each row a passage.
//   {"id": "0", "contents": "\"Title\"\ntext"}      as Search-R1 and FlashRAG have them
//   {"id": 0, "title": "Title", "text": "text"}
// Not here: reading files (data/row-file.ts), making the index (index-build.ts).

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { UserError } from "../config/errors.ts";
import { type Row, valueAt } from "../data/row.ts";
import { contentsOf } from "./passage.ts";

/** Columns that are looked at. */
export const CORPUS_COLUMNS: readonly string[] = ["id", "contents", "title", "text"];

export interface CorpusPassage {
  readonly id: string;
  readonly contents: string;
}

/** The passage of a row, or why it has none. */
export function passageOfRow(row: Row): CorpusPassage | Fault {
  const id = valueAt(row, "id") ?? undefined;
  if (id === undefined) return { fault: 'no "id"' };
  if (typeof id !== "string" && typeof id !== "number" && typeof id !== "bigint") {
    return { fault: '"id" is neither a text nor a number' };
  }
  const contents = contentsOfRow(row);
  return typeof contents === "string" ? { id: String(id), contents } : contents;
}

interface Fault {
  readonly fault: string;
}

function contentsOfRow(row: Row): string | Fault {
  const name = ["contents", "text"].find((key) => (valueAt(row, key) ?? undefined) !== undefined);
  if (name === undefined) return { fault: 'neither "contents" nor "text"' };
  const body = valueAt(row, name);
  if (typeof body !== "string") return { fault: `"${name}" is not a text` };
  if (body.trim() === "") return { fault: `"${name}" is empty` };
  if (name === "contents") return body;
  const title = valueAt(row, "title") ?? undefined;
  if (title === undefined) return contentsOf({ text: body });
  if (typeof title !== "string") return { fault: '"title" is not a text' };
  return contentsOf({ title, text: body });
}

/** What a file of the corpus is known by, so that an index goes on only with the same one. */
export interface SourceMark {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  /** Of its first and last bytes. */
  readonly sha256: string;
}

const MARK_BYTES = 1 << 16;

export function markOf(path: string): SourceMark {
  const file = openSync(path, "r");
  try {
    const { size, mtimeMs } = fstatSync(file);
    const bytes = new Uint8Array(MARK_BYTES);
    const hasher = new Bun.CryptoHasher("sha256");
    for (const start of [0, Math.max(0, size - MARK_BYTES)]) {
      hasher.update(bytes.subarray(0, readSync(file, bytes, 0, MARK_BYTES, start)));
    }
    return { path: resolve(path), size, mtimeMs, sha256: hasher.digest("hex") };
  } finally {
    closeSync(file);
  }
}

/** Throws UserError where an index at `where` was begun with other files than it is to go on with. */
export function refuseOther(
  before: readonly SourceMark[],
  now: readonly SourceMark[],
  where: string,
): void {
  const change = changeSince(before, now);
  if (change === undefined) return;
  const hint = "--restart makes it again from the first row";
  throw new UserError(`this index is of another corpus: ${change}`, { where, hint });
}

function changeSince(before: readonly SourceMark[], now: readonly SourceMark[]) {
  if (before.length !== now.length) return `it has ${before.length} files, not ${now.length}`;
  const index = now.findIndex((mark, i) => !Bun.deepEquals(mark, before[i]));
  if (index < 0) return undefined;
  const [was, is] = [before[index]!, now[index]!];
  if (was.path !== is.path) return `it was begun with ${was.path}, not ${is.path}`;
  return `${is.path} has changed since`;
}
