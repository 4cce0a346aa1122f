import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { setThreads } from "../../ffi/native.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder, type DataFolder } from "../helpers/data-files.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(60_000);

let folder: DataFolder;
beforeAll(async () => {
  setThreads(1);
  folder = dataFolder();
  folder.write("tiny.yaml", tinyRecipe(writeTinyModel(folder.path)));
  const done = await icrl(folder.path, "run", "stage1", "--recipe", "tiny.yaml", "--run", "a");
  expect(done.code).toBe(0);
});
afterAll(() => folder[Symbol.dispose]());

const sft = (args: string) => icrl(folder.path, "sft", ...args.split(" "));

test("--json prints a line for each step and evaluation, the summary last", async () => {
  const args = "--run a --min-reward 0.01 --epochs 2 --batch-size 1000 --out b --json";
  const { code, stdout, stderr } = await sft(args);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ type }) => type)).toEqual([
    "start",
    "eval",
    "eval",
    "step",
    "step",
    "eval",
    "eval",
    "summary",
  ]);
  const summary = lines.at(-1)!;
  expect(summary).toMatchObject({ outcome: "finished", steps: 2 });
  expect(summary.evals).toMatchObject([
    { stage: "base", shots: 0 },
    { stage: "base", shots: 1 },
    { stage: "sft", shots: 0 },
    { stage: "sft", shots: 1 },
  ]);
  const evaluated = await icrl(folder.path, "eval", "--run", "b", "--shots", "1", "--json");
  const { stage, em, valid_format } = JSON.parse(evaluated.stdout) as Record<string, unknown>;
  expect((summary.evals as object[])[3]).toMatchObject({ stage, em, valid_format });
});

test("for people it says what it learns from, the losses and the table", async () => {
  const { code, stdout } = await sft("--run a --min-reward 0.01 --epochs 2 --stages stage1");
  expect(code).toBe(0);
  expect(stdout).toMatch(/\d+ of 24 recorded rollouts are successful, \d+ of them repeated/);
  expect(stdout).toMatch(/step 2 of 2, epoch 2: loss \d/);
  expect(stdout).toMatch(/loss of each epoch: \d\.\d{3}, \d\.\d{3}/);
  expect(stdout).toContain("EM sft");
  expect(stdout).toContain("runs/a-sft/checkpoints/sft");
});

describe("wrong usage is one line", () => {
  const table: readonly [args: string, code: number, message: string][] = [
    ["--epochs 2", 2, "--run <folder>' not specified"],
    ["--run none", 1, "there is no run here (none)"],
    ["--run a --min-reward high", 2, '"high" is no value for --min-reward - a number'],
    ["--run a --learning-rate 0", 2, '"0" is no value for --learning-rate - a number above 0'],
    ["--run a --demonstrations kept", 2, "Allowed choices are drop, keep"],
    ["--run a --epochs 0", 2, '"0" is no value for --epochs - a whole number, at least 1'],
    ["--run a --min-reward 3", 1, "none of 24 recorded rollouts has a reward of at least 3 (a)"],
  ];
  test.each(table)("icrl sft %s", async (args, code, message) => {
    const done = await sft(args);
    expect(done.stderr).toContain(message);
    expect(done.code).toBe(code);
  });
});
