// Where words occur, read from FTS5 and kept: a frequent word takes long to read (0.2 us an
// occurrence) and comes again. What is kept is bounded; what was not asked for longest goes first.

import type { Database, Statement } from "bun:sqlite";
import type { Postings } from "./bm25-score.ts";

/** Of kept postings: 6 bytes a word and passage. */
const MAX_KEPT_BYTES = 256 * 2 ** 20;
const MAX_COUNT = 0xffff;

export class PostingsReader implements Disposable {
  private readonly select: Statement<unknown, [string]>;
  private readonly kept = new Map<string, Postings>();
  private keptBytes = 0;

  constructor(
    db: Database,
    private readonly maxKeptBytes = MAX_KEPT_BYTES,
  ) {
    this.select = db.prepare("SELECT doc FROM occurrences WHERE term = ?");
  }

  /** Empty where the word is in no passage. */
  of(word: string): Postings {
    const known = this.kept.get(word);
    if (known !== undefined) {
      this.kept.delete(word); // to the end
      this.kept.set(word, known);
      return known;
    }
    const postings = grouped(this.select.values(word) as [number][]);
    this.keep(word, postings);
    return postings;
  }

  [Symbol.dispose](): void {
    this.select.finalize();
  }

  private keep(word: string, postings: Postings): void {
    this.kept.set(word, postings);
    this.keptBytes += sizeOf(word, postings);
    for (const [oldest, old] of this.kept) {
      if (this.keptBytes <= this.maxKeptBytes) return;
      this.kept.delete(oldest);
      this.keptBytes -= sizeOf(oldest, old);
    }
  }
}

const sizeOf = (word: string, { rows, counts }: Postings): number =>
  rows.byteLength + counts.byteLength + 2 * word.length + 200;

/** Rows come in order, one for each time that the word stands there. */
function grouped(occurrences: readonly (readonly [number])[]): Postings {
  const rows = new Int32Array(occurrences.length);
  const counts = new Uint16Array(occurrences.length);
  let last = -1;
  for (const [row] of occurrences) {
    if (last < 0 || rows[last] !== row) rows[++last] = row;
    if (counts[last]! < MAX_COUNT) counts[last]!++;
  }
  return { rows: rows.slice(0, last + 1), counts: counts.slice(0, last + 1) };
}
