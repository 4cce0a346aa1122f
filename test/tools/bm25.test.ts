// The index against FTS5's own ranking, and the index in a file against the one in memory.
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { Bm25Scorer, type Postings } from "../../src/tools/bm25-score.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import { buildIndex } from "../../src/tools/index-build.ts";
import { TOKENIZER } from "../../src/tools/index-schema.ts";
import { contentsOf, splitContents } from "../../src/tools/passage.ts";
import { PostingsReader } from "../../src/tools/postings.ts";
import { WordFolder } from "../../src/tools/query-words.ts";
import type { CorpusRow } from "../helpers/corpus.ts";
import { dataFolder, jsonl } from "../helpers/data-files.ts";

setDefaultTimeout(60_000);

const inMemory = (rows: readonly CorpusRow[]): Bm25Index =>
  Bm25Index.build(rows.map(({ id, contents }) => ({ id, ...splitContents(contents) })));

/** FTS5's own ranking. */
class Fts5 implements Disposable {
  private readonly db = new Database(":memory:");

  constructor(private readonly rows: readonly CorpusRow[]) {
    this.db.run(`CREATE VIRTUAL TABLE passages USING fts5 (contents, ${TOKENIZER})`);
    const insert = this.db.query("INSERT INTO passages (rowid, contents) VALUES (?, ?)");
    this.db.transaction(() => rows.forEach(({ contents }, row) => insert.run(row, contents)))();
  }

  /** Of all passages that have one of the words, by id. */
  scores(words: readonly string[]): Map<string, number> {
    const select = this.db.query<{ rowid: number; rank: number }, [string]>(
      "SELECT rowid, rank FROM passages WHERE passages MATCH ?",
    );
    const found = select.all(words.map((word) => `"${word}"`).join(" OR "));
    return new Map(found.map(({ rowid, rank }) => [this.rows[rowid]!.id, -rank]));
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

const word = fc.constantFrom(
  "orn",
  "Tel",
  "sil",
  "Måløy",
  "maloy",
  "Éverin",
  "of",
  "the",
  "3",
  "市",
);
const corpus = fc
  .array(fc.array(word, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 40 })
  .map((texts) => texts.map((words, i) => ({ id: `${i}`, contents: `"T"\n${words.join(" ")}.` })));
const query = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" "));

test("scores are FTS5's, and the best come first", () => {
  fc.assert(
    fc.property(corpus, query, fc.integer({ min: 1, max: 8 }), (rows, text, topK) => {
      using index = inMemory(rows);
      using fts5 = new Fts5(rows);
      using folder = new WordFolder();
      const words = folder.wordsOf(text);
      const rare = words.filter((each) => fts5.scores([each]).size <= rows.length / 2);
      const ranks = fts5.scores(rare.length > 0 ? rare : words);
      const hits = index.hits(text, topK);
      for (const { id, score } of hits) expect(score).toBeCloseTo(ranks.get(id)!, 9);
      const best = [...ranks.values()].toSorted((a, b) => b - a).slice(0, topK);
      expect(hits.length).toBe(best.length);
      hits.forEach(({ score }, i) => expect(score).toBeCloseTo(best[i]!, 9));
    }),
    { seed: 1, numRuns: 40 },
  );
});

test("an index in a file finds what one in memory finds, with the same scores", async () => {
  await fc.assert(
    fc.asyncProperty(corpus, fc.array(query, { maxLength: 5 }), async (rows, texts) => {
      using folder = dataFolder();
      const files = [folder.write("corpus.jsonl", jsonl(rows))];
      const out = join(folder.path, "corpus.icrl-index");
      await buildIndex({ files, out, skipBadRows: false, restart: false, onProgress() {} });
      using file = Bm25Index.open(out);
      using memory = inMemory(rows);
      for (const text of texts) expect(file.hits(text, 5)).toEqual(memory.hits(text, 5));
    }),
    { seed: 1, numRuns: 8 },
  );
});

test("a score is the sum over words of idf, times a share that grows with the count", () => {
  const postings = (...pairs: readonly [row: number, count: number][]): Postings => ({
    rows: Int32Array.from(pairs, ([row]) => row),
    counts: Uint16Array.from(pairs, ([, count]) => count),
  });
  const scorer = new Bm25Scorer(Uint32Array.of(4, 2, 6, 4, 4), 20); // mean length 4
  const idf = Math.log((5 - 1 + 0.5) / (1 + 0.5)); // one of five
  const long = (2 * 2.2) / (2 + 1.2 * (0.25 + 0.75 * 1.5)); // twice in the passage of 6 words
  const found = scorer.best([postings([2, 2]), postings([0, 1], [1, 1], [2, 1])], 2);
  const frequent = 1e-6 * (2.2 / (1 + 1.2 * (0.25 + 0.75 * 1.5))); // three of five weigh nothing
  expect(found.map(({ row }) => row)).toEqual([2, 1]);
  expect(found[0]!.score).toBeCloseTo(idf * long + frequent, 12);
  const [only, ...none] = scorer.best([postings([2, 2])], 9); // nothing stays of the call before
  expect([only!.row, none]).toEqual([2, []]);
  expect(only!.score).toBeCloseTo(idf * long, 12);
});

describe("words of a query become those of the index:", () => {
  const table: readonly [query: string, words: readonly string[]][] = [
    ["River OF river", ["river", "of"]],
    ["Mäloy MÅLOY maloy", ["maloy"]],
    ["ΖΆΚΥΝΘΟΣ", ["ζάκυνθοσ"]],
    ["Éverin e\u0301verin", ["everin"]],
    ["don't 3.5", ["don", "t", "3", "5"]],
    ["市長 עיר", ["市長", "עיר"]],
    ["\u0301", []],
    ["", []],
  ];
  test.each(table)("%p", (text, words) => {
    using folder = new WordFolder();
    expect(folder.wordsOf(text)).toEqual(words);
    expect(folder.wordsOf("plain")).toEqual(["plain"]); // nothing stays of the one before
  });
});

test("postings count a word's occurrences by passage; few are kept, all are found", () => {
  const rows = ["a b a", "b", "c a"].map((contents, i) => ({ id: `${i}`, contents }));
  using db = new Database(":memory:");
  db.run(`CREATE VIRTUAL TABLE words USING fts5 (contents, content = '', ${TOKENIZER})`);
  db.run("CREATE VIRTUAL TABLE occurrences USING fts5vocab (words, instance)");
  const insert = db.query("INSERT INTO words (rowid, contents) VALUES (?, ?)");
  rows.forEach(({ contents }, row) => insert.run(row, contents));
  const wanted = { a: [0, 2, 2, 1], b: [0, 1, 1, 1], c: [2, 1], d: [] }; // row, count, row, ...
  for (const maxBytes of [0, 500, 1e6]) {
    using reader = new PostingsReader(db, maxBytes);
    for (const each of ["a", "b", "a", "c", "d", "b", "a"] as const) {
      const { rows: found, counts } = reader.of(each);
      expect([...found].flatMap((row, i) => [row, counts[i]!])).toEqual(wanted[each]);
    }
  }
});

describe("contents of a passage come apart as they were put together:", () => {
  const table: readonly [title: string | undefined, text: string, contents: string][] = [
    ["Orn", "A town.", '"Orn"\nA town.'],
    ['The "Sil"', "A river.", '"The "Sil""\nA river.'],
    ["Orn", "A town\non the Sil.", '"Orn"\nA town\non the Sil.'],
    [undefined, "A town.", "A town."],
    [undefined, "A town\non the Sil.", '""\nA town\non the Sil.'],
    ["", "A town.", '""\nA town.'],
    ["Two\nlines", "A town.", '"Two lines"\nA town.'],
  ];
  test.each(table)("title %p, text %p", (title, text, contents) => {
    expect(contentsOf(title === undefined ? { text } : { title, text })).toBe(contents);
    const line = (part: string): string => part.replace("\n", " ");
    expect(splitContents(contents)).toEqual({ title: line(title ?? ""), text: line(text) });
  });
});
