import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openRowFile } from "../../src/data/row-file.ts";
import type { NumberedRow } from "../../src/data/row.ts";
import { dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

const GOLDEN = join(import.meta.dir, "../golden/parquet");
const golden = JSON.parse(readFileSync(join(GOLDEN, "rows.json"), "utf8")) as unknown[];

async function readAll(path: string, columns?: readonly string[]): Promise<readonly NumberedRow[]> {
  const file = await openRowFile(path);
  return (await Array.fromAsync(file.batches(columns))).flat();
}

/** As JSON would have it. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, each) => (typeof each === "bigint" ? Number(each) : each)));

describe("a Parquet file has the rows that pyarrow wrote", () => {
  const names = ["none", "snappy", "gzip", "brotli", "zstd", "lz4", "plain-v2", "delta"];
  test.each(names)("%s", async (name) => {
    const rows = await readAll(join(GOLDEN, `${name}.parquet`));
    expect(plain(rows.map(({ row }) => row))).toEqual(golden);
    expect(rows.map(({ number }) => number)).toEqual(golden.map((_, index) => index + 1));
  });

  test("also inside gzip", async () => {
    using folder = dataFolder();
    const packed = Bun.gzipSync(readFileSync(join(GOLDEN, "zstd.parquet")));
    const rows = await readAll(folder.write("rows.bin", packed));
    expect(plain(rows.map(({ row }) => row))).toEqual(golden);
  });

  test("of which only the columns asked for are read", async () => {
    const rows = await readAll(join(GOLDEN, "snappy.parquet"), ["question", "no such column"]);
    expect(Object.keys(rows[0]!.row)).toEqual(["question"]);
  });

  test("and says its own schema", async () => {
    const { schema } = await openRowFile(join(GOLDEN, "snappy.parquet"));
    expect(Object.fromEntries(schema!.map(({ name, type }) => [name, type]))).toMatchObject({
      question: "string",
      golden_answers: "list<string>",
      prompt: "list<{role: string, content: string}>",
      extra_info: "{index: int64, split: string}",
    });
  });
});

describe("rows of text files are known by their first bytes", () => {
  const rows = [
    { question: "Å?", answer: "b" },
    { question: "c", answer: "d" },
  ];
  const table: readonly [claim: string, kind: string, text: string][] = [
    ["JSONL", "jsonl", jsonl(rows)],
    ["JSONL without a last line end", "jsonl", jsonl(rows).trimEnd()],
    [
      "JSONL with \\r\\n and a byte order mark",
      "jsonl",
      `\uFEFF${jsonl(rows).replaceAll("\n", "\r\n")}`,
    ],
    ["a JSON list", "json", JSON.stringify(rows, null, 2)],
    ["an object around a list", "json", JSON.stringify({ version: "1", data: rows }, null, 2)],
    ["the same in one line", "json", JSON.stringify({ data: rows })],
  ];
  test.each(table)("%s", async (_claim, kind, text) => {
    using folder = dataFolder();
    for (const content of [text, Bun.gzipSync(Buffer.from(text))]) {
      const path = folder.write("rows.txt", content);
      expect((await openRowFile(path)).kind as string).toBe(kind);
      expect((await readAll(path)).map(({ row }) => row)).toEqual(rows);
    }
  });

  test("a row of JSONL has the number of its line", async () => {
    using folder = dataFolder();
    const rows = await readAll(folder.write("a.jsonl", '{"a":1}\n\n  \n{"a":2}\n'));
    expect(rows.map(({ number }) => number)).toEqual([1, 4]);
  });

  test("a line longer than a chunk of the file stays whole", async () => {
    using folder = dataFolder();
    const long = {
      question: "x".repeat(3_000_000),
      answer: "é".repeat(500_000),
    };
    const rows = await readAll(folder.write("a.jsonl", jsonl([long, long])));
    expect(rows.map(({ row }) => row)).toEqual([long, long]);
  });
});

describe("a file that can't be read is refused with its place", () => {
  const many = Buffer.from(jsonl(Array.from({ length: 500 }, (_, i) => ({ question: `${i}` }))));
  const parquet = readFileSync(join(GOLDEN, "snappy.parquet"));
  const table: readonly [claim: string, content: string | Uint8Array, line: string][] = [
    [
      "no JSON",
      '{"a": 1}\n{"a": }\n',
      "not JSON: Unexpected token '}' (rows:2) - one object a line",
    ],
    ["a line cut off", '{"a": 1}\n{"a": "b', "(rows:2) - one object a line"],
    ["no object", '{"a": 1}\n[1]\n', "not a JSON object (rows:2) - one object a line"],
    ["a document cut off", '[{"a": 1}, {"a"', "(rows) - is the file complete?"],
    ["a list of other things", '[{"a": 1}, 2]', "not an object (rows row 2) - a list of objects"],
    ["two lists", '{\n"a": [{}], "b": [{}]}', "no list of rows (rows) - a list of objects"],
    ["CSV", "question,answer\na,b\n", "no rows in this file (rows) - read are JSONL, JSON and"],
    ["nothing", "", "the file is empty (rows)"],
    ["white space", " \n", "the file holds only white space (rows)"],
    [
      "a cut gzip",
      Bun.gzipSync(many).slice(0, 100),
      "cannot be read: unexpected end of file (rows)",
    ],
    ["a cut Parquet", parquet.subarray(0, 4000), "damaged Parquet file:"],
    ["no UTF-8", Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), "cannot be read:"],
  ];
  test.each(table)("%s", async (_claim, content, line) => {
    using folder = dataFolder();
    const path = folder.write("rows", content);
    expect(await refusal(() => readAll(path), folder)).toContain(line);
  });

  test("a missing one", async () => {
    expect(await refusal(() => readAll("/nowhere/x.jsonl"))).toBe(
      "there is no such file (/nowhere/x.jsonl)",
    );
  });
});
