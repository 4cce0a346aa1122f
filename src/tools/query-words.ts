// The words of a query as the index has them. Queries come from a policy and are hostile input:
// nothing in them but words has a meaning.

import { Database, type Statement } from "bun:sqlite";
import { TOKENIZER } from "./index-schema.ts";

/** More words than this in one query are ignored, the first ones kept. */
const MAX_QUERY_WORDS = 64;

/** Distinct words, lower case: letters, marks and digits only. */
export function queryWords(query: string): readonly string[] {
  const words = new Set<string>();
  for (const [word] of query.toLowerCase().matchAll(/[\p{L}\p{M}\p{N}\p{Co}]+/gu)) {
    words.add(word);
    if (words.size === MAX_QUERY_WORDS) break;
  }
  return [...words];
}

/** Folds words as FTS5 does: through FTS5, in memory, where they are not plain ASCII. */
export class WordFolder implements Disposable {
  private readonly db = new Database(":memory:");
  private readonly statements: readonly [Statement, Statement, Statement];

  constructor() {
    this.db.run(`CREATE VIRTUAL TABLE query USING fts5 (text, content = '', ${TOKENIZER})`);
    this.db.run("CREATE VIRTUAL TABLE folded USING fts5vocab (query, instance)");
    this.statements = [
      this.db.prepare("INSERT INTO query (rowid, text) VALUES (1, ?)"),
      this.db.prepare("SELECT term FROM folded ORDER BY offset"),
      this.db.prepare("INSERT INTO query (query) VALUES ('delete-all')"),
    ];
  }

  /** Distinct words of a query, in its order, as the index has them. */
  wordsOf(query: string): readonly string[] {
    const words = queryWords(query);
    if (words.every((word) => /^[a-z0-9]+$/.test(word))) return words;
    const [insert, select, clear] = this.statements;
    insert.run(words.join(" "));
    const folded = select.values().map(([term]) => String(term));
    clear.run();
    return [...new Set(folded)];
  }

  [Symbol.dispose](): void {
    for (const statement of this.statements) statement.finalize();
    this.db.close();
  }
}
