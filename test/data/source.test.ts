import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { loadSource, type SourceSpec } from "../../src/data/source.ts";
import { sourceName } from "../../src/data/source-files.ts";
import { type DataFolder, dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

const row = (question: string, answer = "a", more: object = {}): object => {
  return { question, golden_answers: [answer], ...more };
};
const questions = async (spec: SourceSpec): Promise<string[]> =>
  (await loadSource(spec)).tasks.map(({ question }) => question);

describe("ids", () => {
  test("carry the source and the row's own id, else its number", async () => {
    using folder = dataFolder();
    const rows = [row("q", "a", { id: "x1" }), row("r"), row("s", "a", { id: "x1" })];
    const path = folder.write("nq/train.jsonl", jsonl(rows));
    const { tasks } = await loadSource({ path });
    expect(tasks.map(({ id }) => id)).toEqual(["nq/train/x1", "nq/train/2", "nq/train/x1@3"]);
    expect(tasks[0]!.meta).toEqual({ source: "nq/train" });
  });

  test("of several files never collide, though the files' names and rows do", async () => {
    using folder = dataFolder();
    folder.write("set/a/part.jsonl", jsonl([row("1"), row("2", "a", { id: "7" })]));
    folder.write("set/b/part.jsonl", jsonl([row("3"), row("4", "a", { id: "7" })]));
    const { tasks } = await loadSource({
      path: join(folder.path, "set/*/part.jsonl"),
    });
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(4);
  });

  const names: readonly [spec: SourceSpec, name: string][] = [
    [{ path: "/data/nq/train.jsonl.gz" }, "nq/train"],
    [{ path: "/train.parquet" }, "train"],
    [{ path: "../nq/train.parquet" }, "nq/train"],
    [{ path: "data/nq/*.parquet" }, "nq"],
    [{ path: "data/*/dev.jsonl" }, "dev"],
    [{ path: "/data/*/*.jsonl" }, "data"],
    [{ path: "a/b.jsonl", name: "mine" }, "mine"],
  ];
  test("have a name that does not depend on how the path is written", () => {
    expect(sourceName({ path: "x.jsonl" })).toBe(sourceName({ path: resolve("x.jsonl") }));
  });
  test.each(names)("%j is called %s", (spec, name) => {
    expect(sourceName(spec)).toBe(name);
  });
});

test("a glob reads its files in the order of their names", async () => {
  using folder = dataFolder();
  for (const name of ["b", "a", "c"]) folder.write(`${name}.jsonl`, jsonl([row(name)]));
  expect(await questions({ path: join(folder.path, "*.jsonl") })).toEqual(["a", "b", "c"]);
});

test("a repeated row is dropped and counted, not one with another answer", async () => {
  using folder = dataFolder();
  const rows = [row("a b"), row("a  b"), row("a b", "other"), row("c"), row("c")];
  const { tasks, counts } = await loadSource({
    path: folder.write("x.jsonl", jsonl(rows)),
  });
  expect(tasks.map(({ golds }) => golds[0]!)).toEqual(["a", "other", "a"]);
  expect(counts).toEqual({ rows: 5, filtered: 0, duplicates: 2, leftOut: {} });
});

describe("filters", () => {
  const rows = [
    row("1", "a", { level: "easy", year: 2000 }),
    row("2", "a", { level: "hard", year: 2001 }),
    row("3", "a", { level: "hard", year: 2002, deep: { split: "dev" } }),
  ];
  const table: readonly [Omit<SourceSpec, "path">, string[]][] = [
    [{ where: { level: "hard" } }, ["2", "3"]],
    [{ where: { level: ["easy", "hard"], year: [2000, 2002] } }, ["1", "3"]],
    [{ except: { level: "hard" } }, ["1"]],
    [{ except: { level: "easy", year: 2001 } }, ["3"]],
    [{ where: { "deep.split": "dev" } }, ["3"]],
    [{ limit: 2 }, ["1", "2"]],
    [{ where: { level: "hard" }, limit: 1 }, ["2"]],
  ];
  test.each(table)("%j", async (spec, expected) => {
    using folder = dataFolder();
    const path = folder.write("x.jsonl", jsonl(rows));
    expect(await questions({ path, ...spec })).toEqual(expected);
  });

  test("may ask for columns of a Parquet file that no format reads", async () => {
    const path = join(import.meta.dir, "../golden/parquet/snappy.parquet");
    const kept = await questions({
      path,
      where: { ability: "fact-reasoning" },
      limit: 3,
    });
    expect(kept.length).toBe(3);
    expect(await refusal(() => questions({ path, where: { ability: "math" } }))).toContain(
      "none of 25 rows is left: 25 filtered",
    );
  });
});

describe("what can't be used is refused with file, row and what to do", () => {
  const hint =
    'a flashrag row is {"id", "question", "golden_answers": [text, ...], "metadata"}; ' +
    "skip_bad_rows: true drops such rows";
  const table: readonly [string, (folder: DataFolder) => SourceSpec, string][] = [
    [
      "a bad row",
      (folder) => ({
        path: folder.write("x.jsonl", jsonl([row("1"), { question: "2" }])),
      }),
      `golden_answers: expected an answer or a list of answers (x.jsonl:2) - ${hint}`,
    ],
    [
      "a file of unknown rows",
      (folder) => ({
        path: folder.write("x.jsonl", jsonl([{ quesiton: 1, answer: 2 }])),
      }),
      'no known format has rows with quesiton, answer (x.jsonl:1) - "quesiton": did you mean ' +
        '"question"?',
    ],
    [
      "only rows without an answer",
      (folder) => ({
        path: folder.write("x.json", '[{"question": "q", "answer": "", "supporting_facts": []}]'),
      }),
      "none of 1 rows is left: 1 the answer is withheld (test split) (x.json)",
    ],
    [
      "a list of nothing",
      (folder) => ({ path: folder.write("x.json", "[]") }),
      "the file holds no rows (x.json)",
    ],
    [
      "a glob of nothing",
      (folder) => ({ path: `${folder.path}/*.parquet` }),
      "no file matches (*.parquet)",
    ],
    [
      "a folder",
      (folder) => ({
        path: folder.write("set/x.jsonl", "").replace("/x.jsonl", ""),
      }),
      "this is a folder",
    ],
  ];
  test.each(table)("%s", async (_claim, spec, line) => {
    using folder = dataFolder();
    expect(await refusal(() => loadSource(spec(folder)), folder)).toContain(line);
  });

  test("unless bad rows are to be skipped: then they are counted", async () => {
    using folder = dataFolder();
    const path = folder.write("x.jsonl", jsonl([row("1"), { question: "2" }, row("3")]));
    const { tasks, counts } = await loadSource({ path, skip_bad_rows: true });
    expect(tasks.map(({ id }) => id.at(-1))).toEqual(["1", "3"]);
    expect(counts.leftOut).toEqual({ "bad row": 1 });
  });
});

test("millions of repeated rows cost the memory of the distinct ones", async () => {
  using folder = dataFolder();
  const text = "x".repeat(400);
  const block = jsonl(Array.from({ length: 500 }, (_, i) => row(`${i} ${text}`)));
  const path = folder.write("x.jsonl.gz", Bun.gzipSync(Buffer.from(block.repeat(100))));
  const { tasks, counts } = await loadSource({ path });
  expect([tasks.length, counts.rows, counts.duplicates]).toEqual([500, 50_000, 49_500]);
});
