import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counters, setThreads } from "../../ffi/native.ts";
import { UserError } from "../../src/config/errors.ts";
import { RunFolder } from "../../src/run/directory.ts";
import type { StepMetrics } from "../../src/run/metrics.ts";
import type { RunRequest } from "../../src/train/open-run.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";
import { wholeRun } from "../helpers/whole-run.ts";

setDefaultTimeout(120_000);

let folder: string;
let model: string;
beforeAll(() => {
  setThreads(1); // tiny matrices gain nothing from more
  folder = mkdtempSync(join(tmpdir(), "icrl-run-"));
  model = writeTinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

function recipeFile(name: string, change = ""): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(path, tinyRecipe(model, change));
  return path;
}

function recorded(path: string): { steps: StepMetrics[]; evaluations: string[]; names: string[] } {
  const runFolder = new RunFolder(path);
  using reader = runFolder.openReader();
  const evaluations = reader.evaluations().map(({ stage, shots }) => `${stage}/${shots}`);
  return { steps: reader.steps(), evaluations, names: runFolder.checkpoints() };
}
const losses = (path: string): number[] => recorded(path).steps.map(({ loss }) => loss);

describe("a whole run of two stages", () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, "whole");
    await wholeRun({ recipe: recipeFile("whole"), run: path });
  });

  test("takes the steps of its stages and trains in them", () => {
    const { steps } = recorded(path);
    expect(steps.map(({ stage, stageStep }) => `${stage}/${stageStep}`)).toEqual([
      "stage1/1",
      "stage1/2",
      "stage2/1",
      "stage2/2",
    ]);
    for (const step of steps) {
      expect(step.updates).toBe(1);
      expect(step.gradNorm).toBeGreaterThan(0);
      expect(step.numRollouts).toBe(12);
      expect(step.logprobDifference.max).toBeLessThan(1e-4);
      expect(step.trieRatio).toBeGreaterThan(3); // 12 rollouts share most of their prompt
    }
  });
  test("evaluates before stage 1 and after each stage at every number of shots", () => {
    expect(recorded(path).evaluations).toEqual([
      "base/0",
      "base/1",
      "stage1/0",
      "stage1/1",
      "stage2/0",
      "stage2/1",
    ]);
  });
  test("leaves a checkpoint of each stage, with optimizer and run state", () => {
    expect(recorded(path).names).toEqual(["stage1", "stage2"]);
    for (const file of ["model.safetensors", "config.json", "tokenizer.json", "run-state.json"]) {
      expect(existsSync(join(path, "checkpoints", "stage2", file))).toBe(true);
    }
  });
  test("gives every native object back", () => {
    const { devices, policies, caches, trainers } = counters();
    expect([devices, policies, caches, trainers]).toEqual([0, 0, 0, 0]);
  });
  test("has the same losses again for its seed, and others for another", async () => {
    await wholeRun({ recipe: recipeFile("again"), run: join(folder, "again") });
    expect(losses(join(folder, "again"))).toEqual(losses(path));
    await wholeRun({ recipe: recipeFile("other"), run: join(folder, "other"), seed: 2 });
    expect(losses(join(folder, "other"))).not.toEqual(losses(path));
  });
  test("is the same in two commands", async () => {
    const split = join(folder, "split");
    await wholeRun({ recipe: recipeFile("split"), run: split, stages: "stage1" });
    await wholeRun({ run: split, stages: "stage2" });
    expect(losses(split)).toEqual(losses(path));
    expect(recorded(split).evaluations).toEqual(recorded(path).evaluations);
  });
  test("is the same when it was stopped within a stage and went on", async () => {
    const stopped = join(folder, "stopped");
    const end = await wholeRun({ recipe: recipeFile("stopped"), run: stopped }, 1);
    expect(end.outcome).toBe("interrupted");
    expect(recorded(stopped).names).toEqual(["stage1-step1"]);
    await wholeRun({ run: stopped });
    expect(losses(stopped)).toEqual(losses(path));
  });
});

describe("what is refused", () => {
  async function refusal(request: Partial<RunRequest>): Promise<string> {
    try {
      await wholeRun(request);
    } catch (error) {
      if (error instanceof UserError) return error.describe();
      throw error;
    }
    return "accepted";
  }

  test("a later stage on a new run, with the hint to name one", async () => {
    const path = join(folder, "late");
    const line = await refusal({ recipe: recipeFile("late"), run: path, stages: "stage2" });
    expect(line).toContain("name a run that has with --run DIR, or begin with stage1..2");
    expect(existsSync(path)).toBe(false);
  });
  test("a stage that is finished, and another recipe or seed for a run that exists", async () => {
    const path = join(folder, "twice");
    await wholeRun({ recipe: recipeFile("twice"), run: path, stages: "stage1" });
    expect(await refusal({ run: path, stages: "stage1" })).toContain("go on with stage2");
    expect(await refusal({ run: path, recipe: "nano" })).toContain("its own recipe and seed");
    expect(await refusal({ run: path, seed: 2 })).toContain("its own recipe and seed");
    expect(losses(path)).toHaveLength(2);
  });
  test("to step where sampler and trainer disagree by more than the gate", async () => {
    const change = "train: { logprob_gate: { mean: 1.0e-300, max: 1.0e-300 } }";
    const recipe = recipeFile("gap");
    writeFileSync(recipe, tinyRecipe(model).replace("train: {", `${change.slice(0, -2)},`));
    const line = await refusal({ recipe, run: join(folder, "gap") });
    expect(line).toContain("sampler and trainer disagree");
    expect(recorded(join(folder, "gap")).steps).toEqual([]);
  });
});

describe("a gate that stays closed", () => {
  const change = `
stages:
  - { shots: 1, steps: 1 }
  - { shots: 0, steps: 1, gate: { zero_shot_em: 0.5, max_extra_steps: 2, every: 1, questions: 2 } }
`;
  const gated = (): string => {
    const path = join(folder, "gated.yaml");
    writeFileSync(path, `${tinyRecipe(model).replace(/stages:[^]*?eval/, "eval")}${change}`);
    return path;
  };

  test("lengthens the stage before to its bound, then ends the run; lowered, it lets it in", async () => {
    const path = join(folder, "gated");
    const stopped = wholeRun({ recipe: gated(), run: path });
    expect(stopped).rejects.toThrow("stage2 is not entered: EM without demonstrations is 0.000");
    await stopped.catch(() => undefined);
    expect(recorded(path).steps.map(({ stage }) => stage)).toEqual(["stage1", "stage1", "stage1"]);
    expect(recorded(path).names).toEqual(["stage1"]);
    const overrides = ["stages.1.gate.zero_shot_em=0"];
    expect((await wholeRun({ run: path, overrides })).outcome).toBe("finished");
    expect(recorded(path).steps.at(-1)?.stage).toBe("stage2");
  });
});
