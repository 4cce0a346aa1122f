// A BM25 index over short passages: bun:sqlite's FTS5, in memory, in this process. Words are what
// FTS5's unicode61 tokenizer makes of the text, without diacritics; nothing is stemmed. Queries
// come from a policy and are hostile input: each word is quoted, and any of them may match. Not
// here: documents on disk, and the text that the policy reads (search.ts).
//
// Words that occur in more than half of the passages are left out of a query that has others: their
// weight in BM25 is 0 (FTS5 clamps it to 1e-6), and they would make every search scan the whole
// corpus.

import { Database, type Statement } from "bun:sqlite";

export interface Passage {
  readonly id: string;
  readonly title?: string;
  readonly text: string;
}

/** More words than this in one query are ignored, the first ones kept. */
const MAX_QUERY_WORDS = 64;

export class Bm25Index {
  private constructor(
    private readonly db: Database,
    private readonly passages: readonly Passage[],
    private readonly match: Statement<{ rowid: number }, [string, number]>,
    private readonly common: ReadonlySet<string>,
  ) {}

  static build(passages: readonly Passage[]): Bm25Index {
    const db = new Database(":memory:");
    const words = "unicode61 remove_diacritics 2";
    db.run(`CREATE VIRTUAL TABLE passages USING fts5(contents, tokenize = "${words}")`);
    db.run("CREATE VIRTUAL TABLE words USING fts5vocab(passages, row)");
    const insert = db.prepare("INSERT INTO passages(rowid, contents) VALUES (?, ?)");
    db.transaction(() =>
      passages.forEach((p, row) => insert.run(row, `${p.title ?? ""}\n${p.text}`)),
    )();
    insert.finalize();
    const common = wordsOfMoreThan(db, passages.length / 2);
    const match = db.prepare<{ rowid: number }, [string, number]>(
      "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank, rowid LIMIT ?",
    );
    return new Bm25Index(db, passages, match, common);
  }

  get size(): number {
    return this.passages.length;
  }

  /**
   * The best `topK` passages, best first; equal scores in the order of the corpus. Empty where no
   * word occurs.
   */
  search(query: string, topK: number): readonly Passage[] {
    const words = this.informative(queryWords(query));
    if (words.length === 0) return [];
    const expression = words.map((word) => `"${word}"`).join(" OR ");
    return this.match.all(expression, topK).map(({ rowid }) => this.passages[rowid]!);
  }

  [Symbol.dispose](): void {
    this.match.finalize();
    this.db.close();
  }

  private informative(words: readonly string[]): readonly string[] {
    const rare = words.filter((word) => !this.common.has(word));
    return rare.length > 0 ? rare : words;
  }
}

/**
 * Distinct words, lower case. Letters, marks and digits only, so that nothing in a word can mean
 * anything to FTS5.
 */
export function queryWords(query: string): readonly string[] {
  const words = new Set<string>();
  for (const [word] of query.toLowerCase().matchAll(/[\p{L}\p{M}\p{N}\p{Co}]+/gu)) {
    words.add(word);
    if (words.size === MAX_QUERY_WORDS) break;
  }
  return [...words];
}

function wordsOfMoreThan(db: Database, numPassages: number): ReadonlySet<string> {
  const rows = db
    .prepare<{ term: string }, [number]>("SELECT term FROM words WHERE doc > ?")
    .all(numPassages);
  return new Set(rows.map(({ term }) => term));
}
