// What tools outside this process answered, on disk: a cache while a run goes on, and its recording
// afterwards, from which the run can be repeated without any of them. SQLite with a WAL, so several
// runs may share a file. Only answers that worked are kept; one that is there stays.
//
// An answer is known by the tool's kind, the settings that change its answers, and the input. So a
// tool that answers differently each time answers once here: its samples would not be repeatable
// otherwise.

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { UserError } from "../config/errors.ts";

export interface AnswerKey {
  readonly kind: string;
  /** As JSON. No secrets: it is written to the disk. */
  readonly settings: string;
  readonly input: string;
}

export interface KeptAnswer {
  readonly text: string;
  /** Of code that ran. */
  readonly executionFailed?: boolean;
}

const FORMAT = 0x1c_01; // PRAGMA user_version

const SCHEMA = `
CREATE TABLE IF NOT EXISTS answers (
  kind TEXT NOT NULL,
  settings TEXT NOT NULL,
  input TEXT NOT NULL,
  answer TEXT NOT NULL,
  execution_failed INTEGER, -- NULL where no code ran
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, settings, input)
) WITHOUT ROWID;
PRAGMA user_version = ${FORMAT};`;

export class Recording implements Disposable {
  private constructor(
    private db: Database,
    private place: string,
  ) {}

  /** For people. */
  get path(): string {
    return this.place;
  }

  /** Kept in memory until `moveTo`. */
  static inMemory(): Recording {
    return new Recording(withSchema(new Database(":memory:")), "memory");
  }

  /** A file, which is made where there is none. Throws UserError where it is another's. */
  static open(path: string): Recording {
    return new Recording(openFile(path, true), path);
  }

  /** To read from only. */
  static openToReplay(path: string): Recording {
    if (!existsSync(path)) {
      const hint = "a run's recording is tools.sqlite in its folder";
      throw new UserError("there is no recording here", { where: path, hint });
    }
    return new Recording(openFile(path, false), path);
  }

  find({ kind, settings, input }: AnswerKey): KeptAnswer | undefined {
    const sql = "SELECT * FROM answers WHERE kind = ? AND settings = ? AND input = ?";
    const row = this.db.query<Row, string[]>(sql).get(kind, settings, input);
    if (row === null) return undefined;
    const { answer: text, execution_failed: failed } = row;
    return failed === null ? { text } : { text, executionFailed: failed === 1 };
  }

  keep({ kind, settings, input }: AnswerKey, { text, executionFailed }: KeptAnswer): void {
    this.db.query(INSERT).run(kind, settings, input, text, executionFailed ?? null, Date.now());
  }

  /** As `keep`, but the last one counts. */
  note({ kind, settings, input }: AnswerKey, text: string): void {
    const sql = INSERT.replace("IGNORE", "REPLACE");
    this.db.query(sql).run(kind, settings, input, text, null, Date.now());
  }

  get size(): number {
    return this.db.query<{ n: number }, []>("SELECT count(*) AS n FROM answers").get()!.n;
  }

  /** Goes on in a file, with all that is known so far. */
  moveTo(path: string): void {
    const db = openFile(path, true);
    const insert = db.query(INSERT);
    db.transaction(() => {
      const rows = this.db.query<Row, []>("SELECT * FROM answers").all();
      for (const { kind, settings, input, answer, execution_failed: failed, at_ms } of rows)
        insert.run(kind, settings, input, answer, failed, at_ms);
    })();
    this.db.close();
    this.db = db;
    this.place = path;
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

interface Row {
  readonly kind: string;
  readonly settings: string;
  readonly input: string;
  readonly answer: string;
  readonly execution_failed: number | null;
  readonly at_ms: number;
}
const INSERT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)";

function openFile(path: string, writes: boolean): Database {
  let db: Database | undefined;
  try {
    db = new Database(path, writes ? { create: true } : { readonly: true });
    db.run("PRAGMA busy_timeout = 10000");
    requireOwn(db, path, writes);
    if (!writes) return db;
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = NORMAL"); // a power cut may cost the last answers
    return withSchema(db);
  } catch (error) {
    db?.close();
    if (error instanceof UserError) throw error;
    throw new UserError(`the recording can't be opened: ${String(error)}`, { where: path });
  }
}

function requireOwn(db: Database, path: string, mayBeNew: boolean): void {
  const { user_version: format } = db
    .query<{ user_version: number }, []>("PRAGMA user_version")
    .get()!;
  const tables = db.query("SELECT 1 FROM sqlite_master LIMIT 1").get();
  if (format === FORMAT || (mayBeNew && format === 0 && tables === null)) return;
  throw new UserError("this file is no recording of tools", { where: path });
}

function withSchema(db: Database): Database {
  db.run(SCHEMA);
  return db;
}
