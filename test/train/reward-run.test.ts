// Whole small runs with rewards that are not a profile's alone: a reward file, tests of code.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { RunFolder } from "../../src/run/directory.ts";
import { observeAll } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun } from "../../src/train/open-run.ts";
import { type DataFolder, dataFolder, jsonl, refusal } from "../helpers/data-files.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(120_000);

let folder: DataFolder;
let recipe: string;
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
  recipe = folder.write("tiny.yaml", tinyRecipe(writeTinyModel(folder.path)));
});
afterAll(() => folder[Symbol.dispose]());

const path = (name: string): string => join(folder.path, name);

async function run(name: string, overrides: readonly string[]): Promise<void> {
  const all = [...overrides, "stages.0.steps=1", "eval.limit=1", "eval.shots=[0]"];
  const request = { stages: "stage1", recipe, overrides: all, seed: undefined, run: path(name) };
  await using opened = await openRun(request, "nano");
  const parts = { ...opened, observer: observeAll([]), shouldStop: () => false };
  await new TrainingLoop(parts, opened.checkpoint).run(opened.range);
}

const files: Readonly<Record<string, string>> = {
  "length.ts":
    "export default ({ policyText }) => {\n" +
    "  const length = [...policyText].length;\n  return { total: length / 8, length };\n};",
  "length.py":
    "def reward(policy_text, **rest):\n    n = len(policy_text)\n    return {'total': n / 8, 'length': n}",
};

describe("a run with a reward file", () => {
  test.each(Object.keys(files))(
    "%s trains on its total and records its components",
    async (name) => {
      const file = folder.write(name, files[name]!);
      await run(`with ${name}`, [`reward.file=${file}`]);
      using reader = new RunFolder(path(`with ${name}`)).openReader();
      const rollouts = reader.rollouts({ step: 1 }).map(({ id }) => reader.rollout(id)!);
      expect(rollouts.length).toBe(3 * 4);
      for (const { rollout, reward } of rollouts) {
        const length = [...rollout.policyText].length;
        expect(reward.total).toBeCloseTo(length / 8, 6);
        expect(reward.components).toMatchObject({ length, em: 0 });
      }
    },
  );

  test("that throws ends with file, line, task and error, and records no step", async () => {
    const file = folder.write("bad.py", "def reward(**row):\n    raise KeyError('speed')");
    const line = await refusal(() => run("bad", [`reward.file=${file}`]), folder);
    expect(line).toMatch(
      /^no reward for task \S+: reward\(\) raised KeyError: 'speed' \(bad.py:2\)$/,
    );
    using reader = new RunFolder(path("bad")).openReader();
    expect(reader.steps()).toEqual([]);
  });

  test("that is not there is refused before the run's folder is made", async () => {
    const line = await refusal(() => run("none", [`reward.file=${path("none.py")}`]), folder);
    expect(line).toStartWith("there is no such reward file (none.py)");
    expect(existsSync(path("none"))).toBe(false);
  });
});

test("questions without tests are refused where tests are to be paid", async () => {
  const rows = Array.from({ length: 4 }, (_, i) => ({ question: `q${i}`, answer: "a" }));
  const data = folder.write("plain.jsonl", jsonl(rows));
  const overrides = [`data.train=${data}`, "data.holdout=1", "reward.profile=code"];
  const search = ["tool.search.url=http://127.0.0.1:1/", "tool.search.retries=0"];
  const line = await refusal(() => run("untested", [...overrides, ...search]));
  expect(line).toStartWith("4 of 4 questions have no tests, which reward profile code");
  expect(existsSync(path("untested"))).toBe(false);
});
