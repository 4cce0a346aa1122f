import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { icrl } from "../helpers/cli.ts";
import { dataFolder, jsonl } from "../helpers/data-files.ts";

const rows = ["who founded orn", "where is the sil", "where is the sil", "who is ada pell"];
const file = jsonl(rows.map((question) => ({ question, golden_answers: ["a", "b"] })));

describe("icrl data FILE", () => {
  test("says what was read and what is dropped, and shows three prompts", async () => {
    using folder = dataFolder();
    const long = jsonl([{ question: `${"very ".repeat(9000)}long`, golden_answers: ["c"] }]);
    folder.write("nq/train.jsonl", file + long);
    const { code, stdout } = await icrl(folder.path, "data", "nq/train.jsonl", "--model", "nano");
    expect(code).toBe(0);
    expect(stdout.split("\n").slice(0, 6)).toEqual([
      "nq/train",
      "  nq/train.jsonl  jsonl: flashrag rows",
      "  columns    question: string, golden_answers: list<string>",
      "  rows       5",
      "  repeated   1",
      "  questions  4",
    ]);
    expect(stdout).toContain(
      "too long   1 beyond the 14336 tokens of a prompt (search-qwen2.5-3b):",
    );
    expect(stdout).toContain("dropped before a run, never cut (nq/train/5)");
    const titles = stdout.match(/^-- prompt .*$/gm)!;
    expect(titles.map((each) => /: (\S+), \d+ tokens, 3 shots$/.exec(each)?.[1])).toEqual([
      "nq/train/1",
      "nq/train/2",
      "nq/train/5",
    ]);
    expect(stdout.match(/^Question: who founded orn\?$/gm)!.length).toBe(1);
    expect(stdout).toContain("-- accepted: a | b");
  });

  test("counts no tokens, and says why, where the recipe's model is not there", async () => {
    using folder = dataFolder();
    const path = folder.write("x.jsonl", file);
    const { code, stdout } = await icrl(folder.path, "data", path);
    expect(code).toBe(0);
    expect(stdout).toContain("too long   not counted, for want of a tokenizer: Qwen/Qwen2.5-3B");
    expect(stdout).toMatch(/^-- prompt 1 of 3: .*, \d+ characters, 3 shots$/m);
  });

  test("prints no control characters of the file", async () => {
    using folder = dataFolder();
    folder.write("x.jsonl", jsonl([{ question: "a\u001b[31m", answer: "b\u0007", "c\u001b": 1 }]));
    const { stdout } = await icrl(folder.path, "data", "x.jsonl", "--model", "nano");
    expect(stdout).toContain("a\ufffd[31m");
    expect(["\u001b", "\u0007"].filter((each) => stdout.includes(each))).toEqual([]);
  });

  const parquet = join(import.meta.dir, "../golden/parquet/zstd.parquet");
  test("as JSON has the schema of a Parquet file and the same figures", async () => {
    const { stdout } = await icrl(".", "data", parquet, "--json", "--model", "nano");
    const { sources, prompts } = JSON.parse(stdout);
    expect(sources[0]).toMatchObject({
      name: "parquet/zstd",
      files: [{ kind: "parquet", format: "verl" }],
      counts: { rows: 25, duplicates: 0 },
      questions: 25,
      tooLong: [],
    });
    expect(sources[0].files[0].schema).toContainEqual({ name: "question", type: "string" });
    expect(prompts.length).toBe(3);
    expect(prompts[0].tokens).toBeGreaterThan(100);
  });
});

test("icrl data without a file shows what the recipe trains and evaluates on", async () => {
  const { stdout } = await icrl(".", "data");
  expect(stdout).toContain("a run of nano trains on 2400 questions and is evaluated on 400");
});

describe("what can't be read is one line", () => {
  const table: readonly [claim: string, args: string[], line: string][] = [
    ["no file", ["x.jsonl"], "icrl: there is no such file (x.jsonl)\n"],
    [
      "a bad row",
      ["bad.jsonl"],
      "icrl: golden_answers: expected an answer or a list of answers (bad.jsonl:2) - a flashrag " +
        'row is {"id", "question", "golden_answers": [text, ...], "metadata"}; ' +
        "skip_bad_rows: true drops such rows\n",
    ],
    ["no model", ["bad.jsonl", "--model", "nowhere"], "nowhere"],
    ["no recipe", ["--recipe", "nanno"], 'icrl: unknown recipe "nanno" (--recipe) - did you mean'],
  ];
  test.each(table)("%s", async (_claim, args, line) => {
    using folder = dataFolder();
    folder.write("bad.jsonl", jsonl([{ question: "q", golden_answers: ["a"] }, { question: "r" }]));
    const { code, stderr, stdout } = await icrl(folder.path, "data", ...args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
  });
});
