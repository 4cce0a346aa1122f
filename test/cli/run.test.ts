import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { RunFolder } from "../../src/run/directory.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(120_000);

const main = join(import.meta.dir, "../../src/main.ts");
let folder: string;
let recipe: string;
beforeAll(() => {
  setThreads(1);
  folder = mkdtempSync(join(tmpdir(), "icrl-cli-run-"));
  recipe = join(folder, "tiny.yaml");
  writeFileSync(recipe, tinyRecipe(writeTinyModel(folder)));
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(...args: string[]) {
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const command = [process.execPath, main, ...args];
  return Bun.spawn(command, { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
}

async function finished(...args: string[]) {
  const child = start(...args);
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, lines: stdout.trim().split("\n"), stderr };
}
// The lines are checked by what is expected of them.
const json = (line: string | undefined) => JSON.parse(line ?? "") as Record<string, unknown>;

describe("icrl run --json", () => {
  let lines: string[];
  beforeAll(async () => {
    const done = await finished("run", "stage1..2", "--recipe", recipe, "--run", "a", "--json");
    expect(done.stderr).toBe("");
    expect(done.code).toBe(0);
    lines = done.lines;
  });

  test("prints a line for each step", () => {
    const steps = lines.map(json).filter(({ type }) => type === "step");
    expect(steps.map(({ step, stage }) => [step, stage])).toEqual([
      [1, "stage1"],
      [2, "stage1"],
      [3, "stage2"],
      [4, "stage2"],
    ]);
  });
  test("ends with the summary: its fixed keys, evaluations before and after each stage", () => {
    const summary = json(lines.at(-1));
    expect(Object.keys(summary)).toEqual(["type", "evals", "wall_s", "steps"]);
    const evals = summary.evals as Record<string, unknown>[];
    expect(evals.map(({ stage, shots }) => `${String(stage)} ${String(shots)}`)).toEqual([
      "base 0",
      "base 1",
      "stage1 0",
      "stage1 1",
      "stage2 0",
      "stage2 1",
    ]);
    for (const row of evals) {
      const keys = ["stage", "shots", "em", "em_1hop", "em_2hop", "valid_format", "tool_calls"];
      expect(Object.keys(row)).toEqual(keys);
    }
    expect([summary.type, summary.steps]).toEqual(["summary", 4]);
  });
  test("its checkpoints can be evaluated again, with the figures of the run", async () => {
    const again = ["eval", "--run", "a@stage1", "--shots", "0", "--json"];
    const { lines: evaluated } = await finished(...again);
    const { stage, shots, em, valid_format } = json(evaluated[0]);
    const evals = json(lines.at(-1)).evals as Record<string, unknown>[];
    expect(evals[2]).toMatchObject({ stage, shots, em, valid_format });
  });
  test("does not overwrite a run", async () => {
    const again = await finished("run", "--recipe", recipe, "--run", "a");
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("goes on with its own recipe and seed");
  });
});

test("Ctrl-C ends after the step, with checkpoint and summary, and the run goes on", async () => {
  const many = ["--set", "stages.0.steps=500"];
  const child = start("run", "stage1", "--recipe", recipe, "--run", "b", "--json", ...many);
  let text = "";
  for await (const chunk of child.stdout) {
    const before = text;
    text += new TextDecoder().decode(chunk);
    const sent = before.includes('"type":"step"');
    if (!sent && text.includes('"type":"step"')) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(130);
  const summary = json(text.trim().split("\n").at(-1));
  const steps = Number(summary.steps);
  expect(steps).toBeGreaterThan(0);
  expect(new RunFolder(join(folder, "b")).checkpoints()).toEqual([`stage1-step${steps}`]);
  const shorter = ["--set", `stages.0.steps=${steps + 1}`];
  const more = await finished("run", "stage1", "--run", "b", "--json", ...shorter);
  expect(json(more.lines.at(-1)).steps).toBe(1);
});

describe("wrong usage is one line and status 2 or 1", () => {
  const table: readonly [args: readonly string[], code: number, message: string][] = [
    [["run", "stgae1..3"], 2, 'did you mean "stage1..3"?'],
    [["run", "--recipe", "nanno"], 1, 'did you mean "nano"?'],
    [["run", "--set", "train.learning_rat=1"], 1, 'did you mean "learning_rate"?'],
    [["run", "--set", "train"], 2, "an override is key=value"],
    [["run", "--seed", "x"], 2, "a whole number, at least 0"],
    [["run", "--jsn"], 2, "--json"],
    [["run", "stage2..3"], 1, "--run DIR, or begin with stage1..3"],
    [["eval", "--run", "none", "--shots", "0"], 1, "there is no run here"],
    [["eval", "--shots", "0"], 2, "give either --run or --model"],
  ];
  test.each(table)("icrl %p", async (args, code, message) => {
    const done = await finished(...args);
    expect(done.stderr).toContain(message);
    expect(done.code).toBe(code);
  });
});
