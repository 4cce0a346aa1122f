// The hidden file that an index grows in, from a corpus larger than memory. Many rows are one
// transaction, together with how far the corpus has been read: after a kill or a power cut no row
// is lost or twice. FTS5 writes a part a transaction; merge() makes one of them.
//
// Rows are known by their numbers, so a file is parsed again up to where it goes on. Whether an id
// comes twice is not looked at.

import { Database } from "bun:sqlite";
import { UserError } from "../config/errors.ts";
import { openRowFile, type RowFile } from "../data/row-file.ts";
import type { NumberedRow } from "../data/row.ts";
import { PassageWriter } from "./bm25.ts";
import { CORPUS_COLUMNS, passageOfRow, refuseOther, type SourceMark } from "./corpus.ts";
import { checkTables, createTables, finishIndex, readMeta, writeMeta } from "./index-schema.ts";

/** How far the corpus has been read, and what came of it. */
export interface Position {
  readonly file: number; // of the list
  readonly row: number; // the last one of that file that was looked at
  readonly passages: number;
  readonly badRows: number;
}

export interface IndexProgress {
  readonly phase: "reading" | "merging" | "copying";
  readonly passages: number;
  readonly badRows: number;
  /** Of the corpus, by bytes. */
  readonly share: number;
}

interface WriterOptions {
  readonly files: readonly string[];
  readonly skipBadRows: boolean;
  readonly onProgress: (progress: IndexProgress) => void;
  readonly onBadRow?: (fault: UserError) => void;
  readonly shouldStop?: () => boolean;
  readonly commitRows?: number;
}

const COMMIT_ROWS = 32768;
/** A step of merging; a page has 4 kB. */
const MERGE_PAGES = 4096;
const START: Position = { file: 0, row: 0, passages: 0, badRows: 0 };

/** Begins the file, or goes on with it where it was begun with the same corpus. */
export function openPartial(path: string, marks: readonly SourceMark[]): Database {
  const db = new Database(path, { create: true });
  try {
    db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA cache_size = -65536"); // KiB
    db.transaction(() => {
      const tables = "SELECT count(*) AS n FROM sqlite_schema";
      if (db.query<{ n: number }, []>(tables).get()!.n === 0) begin(db, marks);
    }).immediate();
    checkTables(db, path);
    refuseOther(readSources(db), marks, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function begin(db: Database, marks: readonly SourceMark[]): void {
  createTables(db);
  const settings = { automerge: 0, crisismerge: 1000, hashsize: 2 ** 28 };
  const set = db.query("INSERT INTO words (words, rank) VALUES (?, ?)");
  for (const [name, value] of Object.entries(settings)) set.run(name, value);
  writeMeta(db, "sources", JSON.stringify(marks));
  writeMeta(db, "position", JSON.stringify(START));
}

export const readSources = (db: Database): readonly SourceMark[] =>
  JSON.parse(String(readMeta(db, "sources"))) as SourceMark[];

export const readPosition = (db: Database): Position =>
  JSON.parse(String(readMeta(db, "position"))) as Position;

/** Owns the database. */
export class IndexWriter implements Disposable {
  private readonly passages: PassageWriter;
  private readonly totalBytes: number;
  private position: Position;
  private uncommitted = 0;
  /** Rows that can't be read, of a batch that is still to come. */
  private unread: { readonly fault: UserError; readonly number: number }[] = [];

  constructor(
    private readonly db: Database,
    private readonly options: WriterOptions,
    private readonly marks: readonly SourceMark[],
  ) {
    this.passages = new PassageWriter(db);
    this.totalBytes = marks.reduce((sum, { size }) => sum + size, 0);
    this.position = readPosition(db);
  }

  /** Reads to the end of the corpus, or until it is to stop; then `file` is not past the last. */
  async read(): Promise<Position> {
    const { files } = this.options;
    if (this.position.file < files.length) this.tell("reading", this.shareOfAll(0));
    this.db.run("BEGIN IMMEDIATE");
    while (this.position.file < files.length) {
      const file = await openRowFile(files[this.position.file]!);
      if (!(await this.readFile(file))) break;
      this.position = { ...this.position, file: this.position.file + 1, row: 0 };
    }
    this.commit();
    return this.position;
  }

  /** False where it is to stop. */
  async merge(): Promise<boolean> {
    using step = this.db.prepare("INSERT INTO words (words, rank) VALUES ('merge', ?)");
    // Negative: all parts into one. A step that changes nothing but its own row was the last.
    for (let pages = -MERGE_PAGES, changes = 2; changes > 1; pages = MERGE_PAGES) {
      if (this.options.shouldStop?.() === true) return false;
      const before = totalChanges(this.db);
      step.run(pages);
      changes = totalChanges(this.db) - before;
      this.tell("merging", 1);
      await signals();
    }
    return true;
  }

  /** A new file, without what merging left free. */
  copyTo(path: string): void {
    this.tell("copying", 1);
    this.db.transaction(() => finishIndex(this.db))();
    this.db.query("VACUUM INTO ?").run(path);
  }

  [Symbol.dispose](): void {
    this.passages[Symbol.dispose]();
    this.db.close();
  }

  /** False where it is to stop. */
  private async readFile(file: RowFile): Promise<boolean> {
    let share = 0;
    const onRead = (read: number): void => void (share = read);
    const onBadRow = (fault: UserError, number: number): void =>
      void this.unread.push({ fault, number });
    for await (const batch of file.batches(CORPUS_COLUMNS, { onRead, onBadRow })) {
      this.takeBatch(batch, file);
      if (this.uncommitted >= (this.options.commitRows ?? COMMIT_ROWS)) this.commitAndGoOn();
      this.tell("reading", this.shareOfAll(share));
      await signals();
      if (this.options.shouldStop?.() === true) return false;
    }
    this.takeBatch([], file); // bad rows at the end
    return true;
  }

  /** All rows up to the batch's last; of those, the ones after where an earlier call ended. */
  private takeBatch(batch: readonly NumberedRow[], file: RowFile): void {
    const { row: before } = this.position;
    for (const { fault, number } of this.unread) {
      if (number > before) this.leaveOut(fault.message, file.place(number));
    }
    for (const each of batch) if (each.number > before) this.take(each, file);
    const last = Math.max(before, batch.at(-1)?.number ?? 0, this.unread.at(-1)?.number ?? 0);
    this.position = { ...this.position, row: last };
    this.unread = [];
  }

  private take({ row, number }: NumberedRow, file: RowFile): void {
    const passage = passageOfRow(row);
    if ("fault" in passage) return this.leaveOut(passage.fault, file.place(number));
    const { passages } = this.position;
    this.passages.write(passages, passage.id, passage.contents);
    this.position = { ...this.position, passages: passages + 1 };
    this.uncommitted++;
  }

  private leaveOut(why: string, where: string): void {
    const { skipBadRows, onBadRow } = this.options;
    const hint = skipBadRows ? undefined : "--skip-bad-rows leaves such rows out";
    const fault = new UserError(why, { where, hint });
    if (!skipBadRows) throw fault;
    onBadRow?.(fault);
    this.position = { ...this.position, badRows: this.position.badRows + 1 };
  }

  private shareOfAll(share: number): number {
    const { file } = this.position;
    const before = this.marks.slice(0, file).reduce((sum, { size }) => sum + size, 0);
    return (before + share * this.marks[file]!.size) / this.totalBytes;
  }

  private commitAndGoOn(): void {
    this.commit();
    this.db.run("BEGIN IMMEDIATE");
  }

  private commit(): void {
    writeMeta(this.db, "position", JSON.stringify(this.position));
    this.db.run("COMMIT");
    this.uncommitted = 0;
  }

  private tell(phase: IndexProgress["phase"], share: number): void {
    const { passages, badRows } = this.position;
    this.options.onProgress({ phase, passages, badRows, share });
  }
}

/** Lets them get through: what is read already keeps the process busy. */
const signals = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const totalChanges = (db: Database): number =>
  db.query<{ n: number }, []>("SELECT total_changes() AS n").get()!.n;
