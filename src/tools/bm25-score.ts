// BM25 as SQLite's FTS5 counts it: k1 = 1.2, b = 0.75, and
//   idf(word) = max(ln((N - n + 0.5) / (n + 0.5)), 1e-6)
//   score = sum over words of idf * f * (k1 + 1) / (f + k1 * (1 - b + b * length / mean length))
// for N passages, n of them with the word, f times in this one. Pure but for its scratch memory.
// Not here: where the occurrences come from (postings.ts).

const K1 = 1.2;
const B = 0.75;
const LEAST_IDF = 1e-6;

/** Where one word occurs. */
export interface Postings {
  readonly rows: Int32Array; // ascending
  readonly counts: Uint16Array; // how often, at most 65,535
}

export interface ScoredRow {
  readonly row: number;
  readonly score: number;
}

/** Scores passages of one corpus. Holds 12 bytes a passage beside the lengths. */
export class Bm25Scorer {
  /** By row; zeros between calls. */
  private readonly scores: Float64Array;
  private readonly touched: Int32Array;
  private readonly meanLength: number;

  /** `lengths`: of each passage, in words. */
  constructor(
    private readonly lengths: Uint32Array,
    numWords: number,
  ) {
    this.scores = new Float64Array(lengths.length);
    this.touched = new Int32Array(lengths.length);
    this.meanLength = numWords / lengths.length;
  }

  /** The best rows, best first; equal scores by row. */
  best(words: readonly Postings[], topK: number): readonly ScoredRow[] {
    let numTouched = 0;
    for (const word of words) numTouched = this.add(word, numTouched);
    return this.takeBest(numTouched, topK);
  }

  private add({ rows, counts }: Postings, before: number): number {
    const { scores, touched, lengths } = this;
    const idf = this.idf(rows.length);
    const [base, perWord] = [K1 * (1 - B), (K1 * B) / this.meanLength];
    let numTouched = before;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const count = counts[i]!;
      const known = scores[row]!;
      if (known === 0) touched[numTouched++] = row;
      const weight = (count * (K1 + 1)) / (count + base + perWord * lengths[row]!);
      scores[row] = known + idf * weight;
    }
    return numTouched;
  }

  private idf(numRows: number): number {
    return Math.max(LEAST_IDF, Math.log((this.lengths.length - numRows + 0.5) / (numRows + 0.5)));
  }

  /** Also clears the scores. */
  private takeBest(numTouched: number, topK: number): readonly ScoredRow[] {
    const best: ScoredRow[] = [];
    for (let i = 0; i < numTouched; i++) {
      const row = this.touched[i]!;
      const score = this.scores[row]!;
      this.scores[row] = 0;
      if (best.length === topK && !isBetter(row, score, best[topK - 1]!)) continue;
      let at = best.length;
      while (at > 0 && isBetter(row, score, best[at - 1]!)) at--;
      best.splice(at, 0, { row, score });
      if (best.length > topK) best.pop();
    }
    return best;
  }
}

const isBetter = (row: number, score: number, than: ScoredRow): boolean =>
  score > than.score || (score === than.score && row < than.row);
