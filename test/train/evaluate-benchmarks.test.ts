import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { counters, setThreads } from "../../ffi/native.ts";
import { Random } from "../../src/data/random.ts";
import type { AnswerMode } from "../../src/train/answer-modes.ts";
import { evaluateBenchmarks, type EvaluationReport } from "../../src/train/evaluate-benchmarks.ts";
import { drawn, openEvaluation, type EvaluationAsked } from "../../src/train/open-evaluation.ts";
import type { Task } from "../../src/types.ts";
import { dataFolder, jsonl, refusal, type DataFolder } from "../helpers/data-files.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(60_000);

let folder: DataFolder;
let asked: EvaluationAsked;
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
  const model = writeTinyModel(folder.path);
  const rows = (count: number, what: string) =>
    jsonl(Array.from({ length: count }, (_, i) => ({ question: `${what} ${i}`, answer: `${i}` })));
  folder.write("towns.jsonl", rows(6, "Which town is number"));
  folder.write("rivers.jsonl", rows(3, "Which river is number"));
  asked = {
    model,
    recipe: folder.write("tiny.yaml", tinyRecipe(model)),
    overrides: [],
    device: undefined,
    data: ["towns.jsonl", "rivers.jsonl"].map((name) => `${folder.path}/${name}`),
    mode: "icrl",
    shots: 0,
    samples: 1,
    limit: undefined,
    seed: undefined,
  };
});
afterAll(() => folder[Symbol.dispose]());

async function report(change: Partial<EvaluationAsked> = {}): Promise<EvaluationReport> {
  await using opened = await openEvaluation({ ...asked, ...change });
  const { seconds: _, ...rest } = await evaluateBenchmarks(opened, () => undefined);
  return { ...rest, seconds: 0 };
}

describe("files", () => {
  test("are a benchmark each, cut to the limit, with every sample of a question", async () => {
    const { benchmarks, pooled } = await report({ samples: 3, limit: 4 });
    const sizes = benchmarks.map(({ name, numQuestions, numSamples }) => [
      name.split("/").at(-1),
      numQuestions,
      numSamples,
    ]);
    expect(sizes).toEqual([
      ["towns", 4, 12],
      ["rivers", 3, 9],
    ]);
    expect([pooled.numQuestions, pooled.numSamples]).toEqual([7, 21]);
    const turns = pooled.rollouts.finishTurns.reduce((sum, count) => sum + count, 0);
    expect(turns).toBe(21);
  });
  test("give the same figures again and beside other files, others for another seed", async () => {
    const once = await report();
    expect(await report()).toEqual(once);
    const alone = await report({ data: [asked.data[1]!] });
    expect(alone.benchmarks[0]).toEqual(once.benchmarks[1]!);
    expect(await report({ seed: 9 })).not.toEqual(once);
  });
  test("that a recipe names are read as it says", async () => {
    const source = { path: asked.data[0], limit: 2, name: "two-towns" };
    const overrides = [
      `data.validation=${JSON.stringify([source])}`,
      "tool.search.url=http://127.0.0.1:1/", // a recipe of files wants one; `direct` asks nobody
    ];
    const { benchmarks } = await report({ overrides, data: ["two-towns"], mode: "direct" });
    expect(benchmarks.map(({ name, numQuestions }) => [name, numQuestions])).toEqual([
      ["two-towns", 2],
    ]);
  });
});

test("held-out questions of several sources are a benchmark each", async () => {
  const sources = asked.data.map((path, i) => ({ path, name: `part-${i}` }));
  const overrides = [
    `data.validation=${JSON.stringify(sources)}`,
    "tool.search.url=http://127.0.0.1:1/",
  ];
  const { benchmarks } = await report({ overrides, data: [], mode: "cot", limit: 5 });
  // sources take turns: 0, 1, 0, 1, 0
  expect(benchmarks.map(({ name, numQuestions }) => [name, numQuestions])).toEqual([
    ["part-0", 3],
    ["part-1", 2],
  ]);
});

describe("modes", () => {
  test.each(["direct", "cot"] as const)("%s: one turn, no search", async (mode: AnswerMode) => {
    const { pooled } = await report({ mode, overrides: ["tool.search.url=http://127.0.0.1:1/"] });
    expect(pooled.rollouts.finishTurns).toEqual([4 + 3]); // the recipe evaluates on 4 of 6
    expect(pooled.searches).toBe(0);
  });
  test("rag asks the retriever once for each question, and counts what failed", async () => {
    const queries: string[] = [];
    using server = serve(async (request) => {
      const { queries: texts } = (await request.json()) as { queries: string[] };
      queries.push(...texts);
      if (texts[0]!.startsWith("Which river")) return new Response("down", { status: 500 });
      return Response.json({ result: [[{ contents: '"Orn"\nOrn is a town.' }]] });
    });
    const overrides = [`tool.search.url=${server.url}`, "tool.search.retries=0"];
    const { benchmarks } = await report({ mode: "rag", overrides, samples: 2 });
    expect(queries.filter((query) => query.startsWith("Which"))).toHaveLength(4 + 3);
    expect(benchmarks.map(({ searches }) => searches)).toEqual([1, 1]);
    expect(benchmarks.map(({ searchFailures }) => searchFailures)).toEqual([0, 3]);
    expect(benchmarks[0]!.rollouts.promptTokens.mean).toBeGreaterThan(100);
  });
  test("a question whose prompt does not fit counts as not answered", async () => {
    const long = `Which town ${"is the one that ".repeat(3000)}it`;
    const data = [folder.write("long.jsonl", jsonl([{ question: long, answer: "x" }]))];
    const { pooled } = await report({ data });
    expect([pooled.numQuestions, pooled.answered]).toEqual([1, 0]);
    expect(pooled.rollouts.finishReasons).toEqual({ context: 1 });
  });
});

test("every native object is given back", async () => {
  await report();
  const { devices, policies, caches, trainers } = counters();
  expect([devices, policies, caches, trainers]).toEqual([0, 0, 0, 0]);
});

describe("what is refused, in one line", () => {
  const table: readonly [Partial<EvaluationAsked>, string][] = [
    [{ data: ["none.jsonl"] }, "there is no such file (none.jsonl)"],
    [{ shots: 9 }, "9 demonstrations are wanted and there are 3 (shots)"],
    [
      { samples: 2, overrides: ["eval.temperature=0"] },
      "2 samples a question would all be the same at temperature 0 (--samples) - " +
        "set eval.temperature, or take one",
    ],
    [{ model: "/none" }, "no such model folder (/none)"],
    [{ recipe: "nanno" }, 'unknown recipe "nanno" (--recipe) - did you mean "nano"?'],
    [{ model: undefined, run: "/none" }, "there is no run here (/none)"],
    [
      { mode: "rag", overrides: ["tool.search.url=http://127.0.0.1:1/", "tool.search.retries=0"] },
      "the retriever does not answer",
    ],
  ];
  test.each(table)("%p", async (change, line) => {
    expect(await refusal(() => report(change))).toStartWith(line);
  });
});

describe("questions drawn", () => {
  const tasks = Array.from(
    { length: 20 },
    (_, i): Task => ({ id: `${i}`, question: "?", golds: [], meta: {} }),
  );
  const ids = (list: readonly Task[]): number[] => list.map(({ id }) => Number(id));

  test("keep their order, repeat none, and follow the seed", () => {
    const some = ids(drawn(tasks, 8, new Random(1)));
    expect(some).toHaveLength(8);
    expect(new Set(some).size).toBe(8);
    expect(some).toEqual(some.toSorted((a, b) => a - b));
    expect(ids(drawn(tasks, 8, new Random(1)))).toEqual(some);
    expect(ids(drawn(tasks, 8, new Random(2)))).not.toEqual(some);
  });
  test("are all where there are no more", () => {
    expect(drawn(tasks, 20, new Random(1))).toBe(tasks);
  });
});

function serve(fetch: (request: Request) => Promise<Response>) {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  return { url: server.url.href, [Symbol.dispose]: () => void server.stop(true) };
}
