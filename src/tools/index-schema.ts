// The tables of a search index, in a file or in memory: one SQLite database. FTS5 finds words and
// keeps where they occur, without a copy of the text; passages lie beside it, by row, as they came.
// What a search needs at once is written by finishIndex, so that opening reads no passage.

import { type Database, SQLiteError } from "bun:sqlite";
import { UserError } from "../config/errors.ts";

/** "icrx": what `file` and SQLite's header know an index by. */
const APPLICATION_ID = 0x69637278;
const VERSION = 1;

/** How text becomes words, of passages and queries: lower case, no diacritics, nothing stemmed. */
export const TOKENIZER = `tokenize = "unicode61 remove_diacritics 2"`;

export function createTables(db: Database): void {
  db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
  db.run(`PRAGMA user_version = ${VERSION}`);
  db.run("CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
  db.run(
    "CREATE TABLE passages (row INTEGER PRIMARY KEY, id TEXT NOT NULL, contents TEXT NOT NULL)",
  );
  db.run(`CREATE VIRTUAL TABLE words USING fts5 (contents, content = '', ${TOKENIZER})`);
  db.run("CREATE VIRTUAL TABLE occurrences USING fts5vocab (words, instance)");
  db.run("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row)");
}

/** Throws UserError where the file is something else, or of another version. */
export function checkTables(db: Database, path: string): void {
  const number = (pragma: string): number =>
    Object.values(db.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get()!)[0]!;
  const hint = "icrl index CORPUS.jsonl --out FILE makes one";
  if (number("application_id") !== APPLICATION_ID) {
    throw new UserError("this is no search index", { where: path, hint });
  }
  const version = number("user_version");
  if (version === VERSION) return;
  const what = `an index of version ${version}; this icrl reads version ${VERSION}`;
  throw new UserError(what, { where: path, hint: "make it again with icrl index" });
}

/** What SQLite says of a file, for a person; other errors as they are. */
export function brokenIndex(error: unknown, path: string): unknown {
  if (!(error instanceof SQLiteError)) return error;
  if (error.code === "SQLITE_NOTADB") {
    const hint = "icrl index CORPUS.jsonl --out FILE makes one";
    return new UserError("this is no search index", { where: path, hint });
  }
  const hint = "make it again with icrl index";
  return new UserError(`the index is broken: ${error.message}`, { where: path, hint });
}

type MetaValue = string | number | Uint8Array;

export function readMeta(db: Database, key: string): MetaValue | undefined {
  const select = "SELECT value FROM meta WHERE key = ?";
  return db.query<{ value: MetaValue }, [string]>(select).get(key)?.value;
}

export function writeMeta(db: Database, key: string, value: MetaValue): void {
  db.query("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(key, value);
}

/** What every search needs. */
export interface Overview {
  readonly lengths: Uint32Array; // of each passage, in words
  readonly numWords: number; // their sum
  /** Words that more than half of the passages have. */
  readonly common: ReadonlySet<string>;
}

/** Reads all words once. */
export function finishIndex(db: Database): void {
  const lengths = passageLengths(db);
  const common = db
    .query<{ term: string }, [number]>("SELECT term FROM vocabulary WHERE doc > ? ORDER BY term")
    .all(lengths.length / 2);
  writeMeta(db, "lengths", new Uint8Array(lengths.buffer));
  writeMeta(
    db,
    "num_words",
    lengths.reduce((sum, length) => sum + length, 0),
  );
  writeMeta(db, "common", JSON.stringify(common.map(({ term }) => term)));
}

/** undefined of an index that is not finished. */
export function readOverview(db: Database): Overview | undefined {
  const [bytes, numWords] = [readMeta(db, "lengths"), readMeta(db, "num_words")];
  const common = readMeta(db, "common");
  if (bytes === undefined || numWords === undefined || common === undefined) return undefined;
  const copy = new Uint8Array(bytes as Uint8Array); // a Uint32Array has to begin on 4 bytes
  return {
    lengths: new Uint32Array(copy.buffer),
    numWords: Number(numWords),
    common: new Set(JSON.parse(String(common)) as string[]),
  };
}

/** FTS5 keeps them as SQLite's variable-length integers: 7 bits a byte, the highest first. */
function passageLengths(db: Database): Uint32Array {
  const count = db.query<{ n: number }, []>("SELECT count(*) AS n FROM passages").get()!.n;
  const lengths = new Uint32Array(count);
  const rows = db.query<{ id: number; sz: Uint8Array }, []>("SELECT id, sz FROM words_docsize");
  for (const { id, sz } of rows.iterate()) {
    lengths[id] = sz.reduce((value, byte) => value * 128 + (byte & 127), 0);
  }
  return lengths;
}
