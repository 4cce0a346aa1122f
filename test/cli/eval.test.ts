import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { setThreads } from "../../ffi/native.ts";
import type { Group, Sample } from "../../src/types.ts";
import { reportRecord, reportText } from "../../src/cli/eval-report.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { averageAccuracies, benchmarkFigures } from "../../src/train/benchmark.ts";
import type { EvaluationReport } from "../../src/train/evaluate-benchmarks.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder, jsonl, type DataFolder } from "../helpers/data-files.ts";
import { sampleOf } from "../helpers/samples.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(60_000);

const tags = tagProfile("icrl");

/** A rollout of some turns that answered rightly or wrongly. */
function sample(right: boolean, hops: number): Sample {
  const { rollout, reward } = sampleOf({ em: Number(right), hops });
  const policyText = `<answer> ${right ? "a" : "b c"} </answer>`;
  return { rollout: { ...rollout, policyText }, reward };
}
const groups = (rights: readonly boolean[]): Group[] =>
  rights.map((right, i) => {
    const one = sample(right, 1 + (i % 2));
    return { id: `${i}`, task: one.rollout.task, samples: [one] };
  });

function reportOf(parts: Readonly<Record<string, readonly boolean[]>>): EvaluationReport {
  const all = Object.entries(parts).map(([name, rights]) => ({ name, groups: groups(rights) }));
  const figures = (benchmark: { name: string; groups: Group[] }) => ({
    ...benchmarkFigures(benchmark, tags, 1),
    searches: 1.5,
    searchFailures: 2,
  });
  return {
    stage: "stage2",
    step: 7,
    mode: "icrl",
    shots: 3,
    samplesPerQuestion: 1,
    temperature: 1,
    benchmarks: all.map(figures),
    average: averageAccuracies(all, tags, 1),
    pooled: figures({ name: "all", groups: all.flatMap((each) => each.groups) }),
    seconds: 2,
  };
}
const yes = [true, false, true, true];
const no = [false, true];

test("the table has a column for each benchmark and one for their average, in per cent", () => {
  const lines = reportText(reportOf({ trivia: yes, hotpot: no })).split("\n");
  const cells = (title: string): string[] =>
    lines
      .find((line) => line.startsWith(title))!
      .slice(title.length)
      .trim()
      .split(/\s{2,}/);
  expect(lines[0]).toBe(
    "stage2 (step 7), mode icrl, 3 demonstrations, 1 sample a question, temperature 1; " +
      "scores and shares in %",
  );
  expect(lines[2]!.trim().split(/\s+/)).toEqual(["trivia", "hotpot", "average"]);
  expect(cells("EM")).toEqual(["75.0", "50.0", "62.5"]);
  expect(cells("EM, 1-hop")).toEqual(["100.0", "0.0", "50.0"]);
  expect(cells("searches a rollout")).toEqual(["1.50", "1.50", "1.50"]);
  expect(cells("ended in turn 1")).toEqual(["100.0", "100.0", "100.0"]);
  expect(new Set(lines.slice(3).map((line) => line.length)).size).toBeLessThan(4);
});

test("of one benchmark there is no average, and equal scores have no interval", () => {
  const text = reportText(reportOf({ trivia: [true, true] }));
  expect(text).not.toContain("average");
  expect(text).toMatch(/95 % interval {2,}-\n/);
  expect(text).toEndWith("interval -: every question has the same score, so none can be told");
});

test("the record has the keys of a run's evaluations over all questions, then benchmarks", () => {
  const record = reportRecord(reportOf({ trivia: yes, hotpot: no }));
  expect(record).toMatchObject({ stage: "stage2", shots: 3, step: 7, num_samples: 6, seconds: 2 });
  expect(record.em).toBeCloseTo(4 / 6, 12);
  expect(record.average.em).toBeCloseTo((3 / 4 + 1 / 2) / 2, 12);
  expect(record.benchmarks.map(({ name, em }) => [name, em])).toEqual([
    ["trivia", 0.75],
    ["hotpot", 0.5],
  ]);
  const [low, high] = record.em_interval;
  expect(low).toBeLessThan(record.em);
  expect(high).toBeGreaterThan(record.em);
});

describe("icrl eval", () => {
  let folder: DataFolder;
  beforeAll(() => {
    setThreads(1);
    folder = dataFolder();
    folder.write("tiny.yaml", tinyRecipe(writeTinyModel(folder.path)));
    const rows = [1, 2, 3].map((i) => ({ question: `Which town is number ${i}`, answer: "Orn" }));
    folder.write("towns.jsonl", jsonl(rows));
  });
  afterAll(() => folder[Symbol.dispose]());

  test("--json prints one object for a model and a file, and notes go elsewhere", async () => {
    const words = ["--model", "tiny", "--recipe", "tiny.yaml", "--data", "towns.jsonl", "--json"];
    const done = await icrl(folder.path, "eval", ...words, "--shots", "1", "--samples", "2");
    expect(done.stderr).toContain("the search tool knows nothing but the almanac");
    expect(done.code).toBe(0);
    const record = JSON.parse(done.stdout) as ReturnType<typeof reportRecord>;
    expect(record).toMatchObject({ stage: "base", shots: 1, mode: "icrl", num_samples: 6 });
    expect(record.benchmarks).toMatchObject([{ num_questions: 3 }]);
    expect(record.benchmarks[0]!.name).toEndWith("towns");
  });

  const table: readonly [args: string, code: number, message: string][] = [
    ["", 2, "give either --run or --model"],
    ["--run a --model b", 2, "give either --run or --model"],
    ["--run a --recipe b", 2, "a run has its own recipe"],
    ["--model nano --mode dirct", 2, 'there is no mode "dirct" (--mode) - did you mean "direct"?'],
    ["--model nano --mode rag --shots 1", 2, "mode rag shows no demonstrations"],
    ["--model nano --shots x", 2, '"x" is no value for --shots - a whole number, at least 0'],
    ["--model nano --samples 0", 2, '"0" is no value for --samples'],
    ["--model nano --data none.jsonl", 1, "there is no such file (none.jsonl)"],
    ["--model nano --device gpu", 2, 'there is no device "gpu"'],
    ["--run none", 1, "there is no run here (none)"],
  ];
  test.each(table)("%s is refused", async (args, code, message) => {
    const done = await icrl(folder.path, "eval", ...args.split(" ").filter((word) => word !== ""));
    expect(done.stderr).toContain(`icrl: ${message}`);
    expect(done.code).toBe(code);
  });
});
