import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryOf, type RecordableTool } from "../../src/tools/recorded.ts";
import { Recording } from "../../src/tools/recording.ts";
import { InvalidCallError, type ToolAnswer } from "../../src/tools/tool.ts";
import { Toolbox } from "../../src/tools/toolbox.ts";
import { LIMITS, toolOf } from "../helpers/tools.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "icrl-recording-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const key = (input: string, settings = "{}") => ({ kind: "retriever", settings, input });

/** A tool and what it was asked. */
function counted(answer: (input: string) => ToolAnswer | Promise<ToolAnswer>, topK = 3) {
  const asked: string[] = [];
  const tool: RecordableTool = {
    ...toolOf((input) => {
      asked.push(input);
      return answer(input);
    }),
    identity: { kind: "retriever", settings: { topK } },
    normalise(input) {
      if (input.trim() === "") throw new InvalidCallError("the search query is empty.");
      return input.trim();
    },
  };
  return { tool, asked };
}

function boxOf(tool: RecordableTool, recording: Recording, mode: "record" | "replay") {
  const memory = memoryOf(tool, recording, mode);
  return new Toolbox([{ tool, limits: LIMITS, tag: "search", memory }], { recording });
}

describe("a recording", () => {
  test("gives back text and outcome, by kind, settings and input", () => {
    using recording = Recording.inMemory();
    recording.keep(key("a"), { text: "A" });
    recording.keep(key("a", '{"topK":5}'), { text: "A5" });
    recording.keep(key("b"), { text: "B", executionFailed: true });
    expect(recording.find(key("a"))).toEqual({ text: "A" });
    expect(recording.find(key("a", '{"topK":5}'))).toEqual({ text: "A5" });
    expect(recording.find(key("b"))).toEqual({ text: "B", executionFailed: true });
    expect(recording.find({ ...key("a"), kind: "http" })).toBeUndefined();
    expect(recording.find(key("A"))).toBeUndefined();
  });

  test("keeps the first answer", () => {
    using recording = Recording.inMemory();
    recording.keep(key("a"), { text: "first" });
    recording.keep(key("a"), { text: "second" });
    expect(recording.find(key("a"))).toEqual({ text: "first" });
  });

  test("moves from memory into a file, which another may write at the same time", () => {
    const path = join(folder, "shared.sqlite");
    using other = Recording.open(path);
    using recording = Recording.inMemory();
    recording.keep(key("a"), { text: "A" });
    recording.moveTo(path);
    other.keep(key("b"), { text: "B" });
    recording.keep(key("c"), { text: "C" });
    for (const each of [other, recording]) expect(each.size).toBe(3);
    using reader = Recording.openToReplay(path);
    expect(reader.find(key("a"))).toEqual({ text: "A" });
  });

  const broken: readonly [claim: string, make: (path: string) => void, what: string][] = [
    ["no file", () => undefined, "there is no recording here"],
    ["a text", (path) => writeFileSync(path, "hello ".repeat(99)), "the recording can't be opened"],
    ["another database", (path) => otherDatabase(path), "this file is no recording of tools"],
  ];
  test.each(broken)("%s can't be replayed", (claim, make, what) => {
    const path = join(folder, claim.replaceAll(" ", "-"));
    make(path);
    expect(() => Recording.openToReplay(path)).toThrow(what);
  });

  test("does not write into another's database", () => {
    const path = join(folder, "other.sqlite");
    otherDatabase(path);
    expect(() => Recording.open(path)).toThrow("this file is no recording of tools");
  });
});

function otherDatabase(path: string): void {
  using db = new Database(path);
  db.run("CREATE TABLE t (x)");
}

describe("a recorded tool", () => {
  test("is asked once for an input, also by calls at the same time", async () => {
    const { tool, asked } = counted(async (input) => `found ${input}`);
    await using box = boxOf(tool, Recording.inMemory(), "record");
    const calls = await Promise.all(["a", " a ", "b"].map((input) => box.call("search", input)));
    calls.push(await box.call("search", "a"));
    expect(calls.map(({ result }) => result.text)).toEqual([
      "found a",
      "found a",
      "found b",
      "found a",
    ]);
    expect(calls.map(({ input }) => input)).toEqual(["a", " a ", "b", "a"]);
    expect(asked).toEqual(["a", "b"]);
    expect(box.figures()[0]).toMatchObject({ calls: 4, recorded: 2 });
  });

  test("is asked again after a failure, which is not kept", async () => {
    let attempts = 0;
    const { tool } = counted(() => {
      if (++attempts === 1) throw new Error("down");
      return "back";
    });
    const recording = Recording.inMemory();
    await using box = boxOf(tool, recording, "record");
    expect((await box.call("search", "a")).result.ok).toBe(false);
    expect(recording.size).toBe(0);
    expect((await box.call("search", "a")).result).toEqual({ ok: true, text: "back" });
    expect(recording.size).toBe(1);
  });

  test("tells outcomes of code apart from the recording, too", async () => {
    const { tool } = counted(() => ({ text: "Error: x", executionFailed: true }));
    await using box = boxOf(tool, Recording.inMemory(), "record");
    const first = await box.call("search", "a");
    expect((await box.call("search", "a")).result).toEqual(first.result);
  });

  test("of other settings has other answers", async () => {
    const recording = Recording.inMemory();
    await using three = boxOf(counted(() => "three").tool, recording, "record");
    const five = boxOf(counted(() => "five", 5).tool, recording, "record");
    expect((await three.call("search", "a")).result.text).toBe("three");
    expect((await five.call("search", "a")).result.text).toBe("five");
  });
});

describe("a replay", () => {
  async function replayed(input: string) {
    const path = join(folder, `${Bun.hash(input)}.sqlite`);
    using recording = Recording.open(path);
    recording.keep(key("known", '{"topK":3}'), { text: "as before" });
    const { tool, asked } = counted(() => "asked");
    await using box = boxOf(tool, Recording.openToReplay(path), "replay");
    const call = await box.call("search", input);
    expect(asked).toEqual([]);
    return { call, path };
  }

  test("answers what is recorded", async () => {
    const { call } = await replayed(" known");
    expect(call.result).toEqual({ ok: true, text: "as before" });
  });

  test("of what is not is a failure that names the input", async () => {
    const { call, path } = await replayed("new\nline");
    expect(call.result).toEqual({
      ok: false,
      reason: "unavailable",
      text: "Error: search is not available now.",
      detail: `not in the recording ${path}: "new\\nline"`,
    });
  });

  test("of a wrong call is the same failure", async () => {
    const { call } = await replayed(" ");
    const text = "Error: the search query is empty.";
    expect(call.result).toMatchObject({ reason: "invalid_call", text });
  });
});
