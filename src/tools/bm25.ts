// A BM25 index over short passages: words and where they occur in FTS5's tables (index-schema.ts),
// in a file or in memory, and scores counted here. FTS5's own ranking gives the same scores at ten
// times the price: it reads a frequent word's occurrences twice in every query. Any word of a query
// may match.
//
// Words that occur in more than half of the passages are left out of a query that has others: their
// weight in BM25 is 0 (clamped to 1e-6), and they would make every search scan the whole corpus.
// Not here: making an index file (index-build.ts), and the text that the policy reads (search.ts).

import { Database, type Statement } from "bun:sqlite";
import { existsSync } from "node:fs";
import { UserError } from "../config/errors.ts";
import { Bm25Scorer } from "./bm25-score.ts";
import {
  brokenIndex,
  checkTables,
  createTables,
  finishIndex,
  type Overview,
  readOverview,
} from "./index-schema.ts";
import { contentsOf, type Passage, splitContents } from "./passage.ts";
import { PostingsReader } from "./postings.ts";
import { WordFolder } from "./query-words.ts";

/** A passage that was found, with the one text that it is kept as. */
export interface Hit {
  readonly id: string;
  readonly contents: string;
  readonly score: number;
}

/** Address space for the file; what is read of it stays in the system's page cache. */
const MAX_MAPPED_BYTES = 64 * 2 ** 30;

export class Bm25Index implements Disposable {
  private readonly scorer: Bm25Scorer;
  private readonly postings: PostingsReader;
  private readonly folder = new WordFolder();
  private readonly passage: Statement<{ id: string; contents: string }, [number]>;

  private constructor(
    private readonly db: Database,
    private readonly overview: Overview,
  ) {
    this.scorer = new Bm25Scorer(overview.lengths, overview.numWords);
    this.postings = new PostingsReader(db);
    this.passage = db.prepare("SELECT id, contents FROM passages WHERE row = ?");
  }

  /** In memory. */
  static build(passages: readonly Passage[]): Bm25Index {
    const db = new Database(":memory:");
    createTables(db);
    using writer = new PassageWriter(db);
    db.transaction(() => {
      passages.forEach((each, row) => writer.write(row, each.id, contentsOf(each)));
      finishIndex(db);
    })();
    return new Bm25Index(db, readOverview(db)!);
  }

  /**
   * A file of `icrl index`, only to read; several processes may. Throws UserError where it is none
   * or not whole.
   */
  static open(path: string): Bm25Index {
    if (!existsSync(path)) {
      const hint = "icrl index CORPUS.jsonl --out FILE makes one";
      throw new UserError("there is no such index", { where: path, hint });
    }
    let db: Database | undefined;
    try {
      db = new Database(path, { readonly: true });
      checkTables(db, path);
      db.run(`PRAGMA mmap_size = ${MAX_MAPPED_BYTES}`);
      const overview = readOverview(db);
      if (overview !== undefined) return new Bm25Index(db, overview);
      const hint = "run the icrl index command that began it once more";
      throw new UserError("this index is not finished", { where: path, hint });
    } catch (error) {
      db?.close();
      throw brokenIndex(error, path);
    }
  }

  get size(): number {
    return this.overview.lengths.length;
  }

  /**
   * The best `topK` passages, best first; equal scores in the order of the corpus. Empty where no
   * word occurs.
   */
  search(query: string, topK: number): readonly Passage[] {
    return this.hits(query, topK).map(({ id, contents }) => ({ id, ...splitContents(contents) }));
  }

  hits(query: string, topK: number): readonly Hit[] {
    const words = this.informative(this.folder.wordsOf(query));
    const occurrences = words.map((word) => this.postings.of(word));
    return this.scorer.best(occurrences, topK).map(({ row, score }) => {
      const { id, contents } = this.passage.get(row)!;
      return { id, contents, score };
    });
  }

  [Symbol.dispose](): void {
    this.passage.finalize();
    this.postings[Symbol.dispose]();
    this.folder[Symbol.dispose]();
    this.db.close();
  }

  private informative(words: readonly string[]): readonly string[] {
    const rare = words.filter((word) => !this.overview.common.has(word));
    return rare.length > 0 ? rare : words;
  }
}

/** Adds passages to the tables. The caller has a transaction open. */
export class PassageWriter implements Disposable {
  private readonly insertPassage: Statement;
  private readonly insertWords: Statement;

  constructor(db: Database) {
    this.insertPassage = db.prepare("INSERT INTO passages VALUES (?, ?, ?)");
    this.insertWords = db.prepare("INSERT INTO words (rowid, contents) VALUES (?, ?)");
  }

  /** `row` counts from 0. */
  write(row: number, id: string, contents: string): void {
    this.insertPassage.run(row, id, contents);
    this.insertWords.run(row, contents);
  }

  [Symbol.dispose](): void {
    this.insertPassage.finalize();
    this.insertWords.finalize();
  }
}
