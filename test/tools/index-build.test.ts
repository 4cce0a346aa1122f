import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../../src/data/random.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import {
  buildIndex,
  type IndexBuildOptions,
  type IndexReport,
} from "../../src/tools/index-build.ts";
import { randomCorpus, randomQuery } from "../helpers/corpus.ts";
import { type DataFolder, dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

setDefaultTimeout(120_000);

const OUT = "corpus.icrl-index";
const outOf = (folder: DataFolder): string => join(folder.path, OUT);

function build(
  folder: DataFolder,
  files: readonly string[],
  options: Partial<IndexBuildOptions> = {},
): Promise<IndexReport> {
  const quiet = { skipBadRows: false, restart: false, onProgress: () => undefined };
  return buildIndex({ files, out: outOf(folder), ...quiet, ...options });
}

/** As if interrupted after the first batch. */
const begin = (folder: DataFolder, file: string): Promise<IndexReport> =>
  build(folder, [file], { shouldStop: () => true });

/** What an index holds, as searches see it. */
function contentOf(path: string): unknown {
  using index = Bm25Index.open(path);
  const random = new Random(5, "queries");
  const queries = Array.from({ length: 40 }, () => randomQuery(random));
  return [index.size, queries.map((query) => index.hits(query, 5))];
}

const ROWS = [
  { id: "0", contents: '"Orn"\nOrn is a town\non the Sil.' },
  { id: "1", contents: '"Sil"\nThe Sil is a river.' },
];

describe("a corpus is read from", () => {
  const hit = { id: "0", contents: '"Orn"\nOrn is a town\non the Sil.' };
  const split = [{ id: 0, title: "Orn", text: "Orn is a town\non the Sil." }];
  const rest = [ROWS[1]];
  const table: readonly [string, (folder: DataFolder) => readonly string[]][] = [
    ["JSONL", (folder) => [folder.write("a.jsonl", jsonl(ROWS))]],
    ["JSONL in gzip", (folder) => [folder.write("a.gz", Bun.gzipSync(jsonl(ROWS)))]],
    ["a JSON list", (folder) => [folder.write("a.json", JSON.stringify(ROWS))]],
    ["title and text apart", (folder) => [folder.write("a.jsonl", jsonl([...split, ...rest]))]],
    [
      "several files",
      (folder) => [folder.write("a.jsonl", jsonl(split)), folder.write("b.jsonl", jsonl(rest))],
    ],
  ];
  test.each(table)("%s", async (_claim, write) => {
    using folder = dataFolder();
    const report = await build(folder, write(folder));
    expect(report).toMatchObject({ outcome: "made", passages: 2, badRows: 0 });
    using index = Bm25Index.open(outOf(folder));
    expect(index.hits("town", 3)).toEqual([{ ...hit, score: expect.any(Number) }]);
    expect(readdirSync(folder.path).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("Parquet, with integer ids beyond 2^53 and titles that are missing", async () => {
    using folder = dataFolder();
    await build(folder, [join(import.meta.dir, "../golden/corpus.parquet")]);
    using index = Bm25Index.open(outOf(folder));
    const found = ["orn", "harbour", "title"].map((word) => index.search(word, 1)[0]);
    expect(found).toEqual([
      { id: "7", title: "Orn", text: "Orn is a town on the Sil." },
      {
        id: "9007199254740993",
        title: "Måløy",
        text: "Måløy lies in the north. It has a harbour.",
      },
      { id: "9", title: "", text: "A passage without a title." },
    ]);
  });
});

describe("a row that holds no passage is named, or left out and counted:", () => {
  const table: readonly [line: string, says: string][] = [
    ['{"contents": "x"}', 'no "id"'],
    ['{"id": null, "contents": "x"}', 'no "id"'],
    ['{"id": [1], "contents": "x"}', '"id" is neither a text nor a number'],
    ['{"id": 1}', 'neither "contents" nor "text"'],
    ['{"id": 1, "contents": 3}', '"contents" is not a text'],
    ['{"id": 1, "contents": " \\n"}', '"contents" is empty'],
    ['{"id": 1, "title": "T", "text": ""}', '"text" is empty'],
    ['{"id": 1, "title": 5, "text": "x"}', '"title" is not a text'],
    ["[1]", "not a JSON object"],
    ['{"id": 1', "not JSON: Expected '}'"],
  ];
  test.each(table)("%s", async (line, says) => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", `${jsonl(ROWS)}${line}\n${jsonl(ROWS)}${line}`);
    const hint = "--skip-bad-rows leaves such rows out";
    const said = await refusal(() => build(folder, [file]), folder);
    expect(said).toBe(`${says} (a.jsonl:3) - ${hint}`);
    const bad: string[] = [];
    const onBadRow = (fault: Error & { where: string | undefined }): void =>
      void bad.push(fault.where!.replace(`${folder.path}/`, ""));
    const report = await build(folder, [file], { skipBadRows: true, onBadRow });
    expect(report).toMatchObject({ passages: 4, badRows: 2 });
    expect(bad).toEqual(["a.jsonl:3", "a.jsonl:6"]);
  });
});

describe("an index that was killed goes on where it was, and is as if made at once:", () => {
  /** Bad rows lie between the good ones and at the end. */
  const corpus = randomCorpus(1, 14_000)
    .map((row, i) => `${i % 1000 === 999 ? "{}\n" : ""}${JSON.stringify(row)}\n`)
    .join("")
    .concat("{}\n{}\n");
  const badRows = 16;

  async function runKilled(file: string, out: string, at: string, commitRows: number) {
    const script = join(import.meta.dir, "killed-index.ts");
    const args = [file, out, at, String(commitRows)];
    const child = Bun.spawn([process.execPath, script, ...args], { stderr: "pipe" });
    await child.exited;
    return child.signalCode;
  }

  const table: readonly [claim: string, at: readonly string[], commitRows: number][] = [
    ["before anything was kept", ["reading:1", "reading:2"], 1e6],
    ["after a transaction", ["reading:2"], 1],
    ["inside one, after another", ["reading:3"], 5000],
    ["while parts are merged", ["merging:1"], 1],
    ["before the copy is made", ["copying:1"], 1],
    ["again and again", ["reading:2", "reading:2", "merging:1", "copying:1"], 1],
  ];
  test.each(table)("%s", async (_claim, points, commitRows) => {
    using whole = dataFolder();
    const plain = whole.write("corpus.jsonl", corpus);
    const once = await build(whole, [plain], { skipBadRows: true });
    using folder = dataFolder();
    const file = folder.write("corpus.jsonl", corpus);
    for (const at of points) {
      expect(await runKilled(file, outOf(folder), at, commitRows)).toBe("SIGKILL");
      expect(existsSync(outOf(folder))).toBeFalse();
    }
    expect(await runKilled(file, outOf(folder), "never:0", commitRows)).toBeNull();
    expect(contentOf(outOf(folder))).toEqual(contentOf(outOf(whole)));
    const again = await build(folder, [file]);
    const { passages, bytes } = once;
    expect(again).toEqual({ outcome: "kept", passages, badRows, bytes });
  });

  test("rows that were kept are not written again", async () => {
    using folder = dataFolder();
    const file = folder.write("corpus.jsonl", corpus);
    await runKilled(file, outOf(folder), "reading:2", 1);
    const told: number[] = [];
    const onProgress = ({ passages }: { readonly passages: number }): void =>
      void told.push(passages);
    await build(folder, [file], { skipBadRows: true, onProgress });
    expect(told[0]).toBeGreaterThan(0);
    expect(told.at(-1)).toBe(14_000);
  });

  test("one that is asked to stop does so after a batch", async () => {
    using folder = dataFolder();
    const file = folder.write("corpus.jsonl", corpus);
    let calls = 0;
    const shouldStop = (): boolean => ++calls === 2;
    const stopped = await build(folder, [file], { skipBadRows: true, shouldStop });
    expect(stopped.outcome).toBe("stopped");
    expect(stopped.passages).toBeGreaterThan(0);
    const { passages } = await build(folder, [file], { skipBadRows: true });
    expect(passages).toBe(14_000);
  });
});

describe("what stands in the way is one line:", () => {
  const hint = "--restart makes it again from the first row";
  const other = (path: string, why: string): string =>
    `this index is of another corpus: ${why} (${path}) - ${hint}`;

  test("a corpus that changed between two calls, unless it is to begin again", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", jsonl(ROWS));
    await begin(folder, file);
    folder.write("a.jsonl", jsonl(ROWS.toReversed()));
    const changed = "a.jsonl has changed since";
    expect(await refusal(() => build(folder, [file]), folder)).toBe(
      other(`.${OUT}.partial`, changed),
    );
    const { outcome, passages } = await build(folder, [file], { restart: true });
    expect([outcome, passages]).toEqual(["made", 2]);
    utimesSync(file, 1, 1);
    expect(await refusal(() => build(folder, [file]), folder)).toBe(other(OUT, changed));
    const restarted = await build(folder, [file], { restart: true });
    expect(restarted.outcome).toBe("made");
  });

  test("other files, or more of them", async () => {
    using folder = dataFolder();
    const [a, b] = ["a.jsonl", "b.jsonl"].map((name) => folder.write(name, jsonl(ROWS))) as [
      string,
      string,
    ];
    await build(folder, [a]);
    expect(await refusal(() => build(folder, [b]), folder)).toBe(
      other(OUT, "it was begun with a.jsonl, not b.jsonl"),
    );
    expect(await refusal(() => build(folder, [a, b]), folder)).toBe(
      other(OUT, "it has 1 files, not 2"),
    );
  });

  test("a file that is no index is not written over", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", jsonl(ROWS));
    const said = await refusal(() => build(folder, [file], { out: file, restart: true }), folder);
    expect(said).toBe("this is no search index (a.jsonl) - remove it, or choose another --out");
    expect(readFileSync(file, "utf8")).toBe(jsonl(ROWS));
  });

  test("no folder to write into", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", jsonl(ROWS));
    const out = join(folder.path, "none/here.icrl-index");
    expect(await refusal(() => build(folder, [file], { out }), folder)).toBe(
      "no index can be written here (none) - choose another --out",
    );
  });

  test("another process that writes the same index", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", jsonl(ROWS));
    const first = build(folder, [file]);
    const said = await refusal(() => build(folder, [file]), folder);
    expect(said).toBe(`another icrl index is writing this index (.${OUT}.partial)`);
    expect((await first).outcome).toBe("made");
  });

  test("a corpus without a passage", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", "{}\n");
    expect(await refusal(() => build(folder, [file], { skipBadRows: true }), folder)).toBe(
      "the corpus holds no passages (a.jsonl)",
    );
  });
});

describe("an index that can't be opened is one line:", () => {
  const table: readonly [claim: string, spoil: (path: string) => void, says: string][] = [
    [
      "none there",
      () => undefined,
      "there is no such index (x) - icrl index CORPUS.jsonl --out FILE makes one",
    ],
    [
      "another kind of file",
      (path) => writeFileSync(path, "not a database, but as long as the header of one ".repeat(9)),
      "this is no search index (x) - icrl index CORPUS.jsonl --out FILE makes one",
    ],
    [
      "an empty file",
      (path) => writeFileSync(path, ""),
      "this is no search index (x) - icrl index CORPUS.jsonl --out FILE makes one",
    ],
  ];
  test.each(table)("%s", async (_claim, spoil, says) => {
    using folder = dataFolder();
    const path = join(folder.path, "x");
    spoil(path);
    expect(await refusal(() => Bm25Index.open(path), folder)).toBe(says);
  });

  test("one of another version", async () => {
    using folder = dataFolder();
    await build(folder, [folder.write("a.jsonl", jsonl(ROWS))]);
    const bytes = readFileSync(outOf(folder));
    bytes.writeUInt32BE(7, 60); // the user version of SQLite's header
    writeFileSync(outOf(folder), bytes);
    expect(await refusal(() => Bm25Index.open(outOf(folder)), folder)).toBe(
      `an index of version 7; this icrl reads version 1 (${OUT}) - make it again with icrl index`,
    );
  });

  test("one that was cut off", async () => {
    using folder = dataFolder();
    await build(folder, [folder.write("a.jsonl", jsonl(randomCorpus(2, 500)))]);
    const bytes = readFileSync(outOf(folder));
    writeFileSync(outOf(folder), bytes.subarray(0, bytes.length / 2));
    expect(await refusal(() => Bm25Index.open(outOf(folder)), folder)).toMatch(
      /^the index is broken: .* \(corpus\.icrl-index\) - make it again with icrl index$/,
    );
  });

  test("one that is still being made", async () => {
    using folder = dataFolder();
    const file = folder.write("a.jsonl", jsonl(ROWS));
    await begin(folder, file);
    const partial = join(folder.path, `.${OUT}.partial`);
    expect(await refusal(() => Bm25Index.open(partial), folder)).toBe(
      `this index is not finished (.${OUT}.partial) - run the icrl index command that began it ` +
        "once more",
    );
  });
});

test("several indexes may be open on one file, also while it is made again", async () => {
  using folder = dataFolder();
  const file = folder.write("a.jsonl", jsonl(ROWS));
  await build(folder, [file]);
  using before = Bm25Index.open(outOf(folder));
  using second = Bm25Index.open(outOf(folder));
  folder.write("a.jsonl", jsonl([{ id: "9", contents: '"Tel"\nTel is a town.' }]));
  await build(folder, [file], { restart: true });
  using after = Bm25Index.open(outOf(folder));
  const ids = [before, second, after].map((index) => index.search("town", 1)[0]!.id);
  expect(ids).toEqual(["0", "0", "9"]);
});
