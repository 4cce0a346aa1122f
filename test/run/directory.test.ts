import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { freshRunPath, RunDirectory, RunFolder, splitRunSpec } from "../../src/run/directory.ts";
import { stepMetrics } from "../helpers/run-records.ts";

let root: string;
let numRuns = 0;
const freshPath = (): string => join(root, "runs", `run-${++numRuns}`);
const RECIPE = "name: nano\nstages: []\n";

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "icrl-runs-"));
});
afterAll(() => rmSync(root, { recursive: true }));

describe("a new run directory", () => {
  test("holds the frozen recipe, an empty store and no checkpoint", () => {
    const path = freshPath();
    using run = RunDirectory.create(path, RECIPE);
    expect(run.name).toBe(basename(path));
    expect(run.recipeText()).toBe(RECIPE);
    expect(statSync(join(path, "recipe.yaml")).mode & 0o777).toBe(0o444);
    expect(run.store.lastStep()).toBe(0);
    expect(run.checkpoints()).toEqual([]);
  });

  test("may be made of an empty folder", () => {
    const path = freshPath();
    mkdirSync(path, { recursive: true });
    using run = RunDirectory.create(path, RECIPE);
    expect(run.recipeText()).toBe(RECIPE);
  });

  test("never takes the place of a run or of other files", () => {
    const taken = freshPath();
    RunDirectory.create(taken, RECIPE)[Symbol.dispose]();
    expect(() => RunDirectory.create(taken, "name: other\n")).toThrow("this run exists already");
    expect(readFileSync(join(taken, "recipe.yaml"), "utf8")).toBe(RECIPE);
    const other = freshPath();
    mkdirSync(other);
    writeFileSync(join(other, "thesis.tex"), "years of work");
    expect(() => RunDirectory.create(other, RECIPE)).toThrow("this run exists already");
    expect(readdirSync(other)).toEqual(["thesis.tex"]);
  });

  test("gets the first free name", () => {
    const runs = join(root, "names");
    expect(freshRunPath(runs, "nano")).toBe(join(runs, "nano"));
    RunDirectory.create(join(runs, "nano"), RECIPE)[Symbol.dispose]();
    expect(freshRunPath(runs, "nano")).toBe(join(runs, "nano-2"));
  });
});

describe("a run directory that exists", () => {
  test("goes on where it was", () => {
    const path = freshPath();
    {
      using run = RunDirectory.create(path, RECIPE);
      run.store.writeStep({ metrics: stepMetrics(1), samples: [] });
    }
    using again = RunDirectory.open(path);
    expect(again.store.lastStep()).toBe(1);
    using reader = new RunFolder(path).openReader();
    expect(reader.steps()).toHaveLength(1);
  });

  test("has one writer at a time, and a dead writer's mark does not matter", () => {
    const path = freshPath();
    RunDirectory.create(path, RECIPE)[Symbol.dispose]();
    writeFileSync(join(path, "writer"), "1\n"); // process 1 always lives
    expect(() => RunDirectory.open(path)).toThrow("process 1 is writing this run");
    writeFileSync(join(path, "writer"), `${2 ** 30}\n`); // above any process id
    using run = RunDirectory.open(path);
    expect(readFileSync(join(path, "writer"), "utf8")).toBe(`${process.pid}\n`);
    expect(run.name).toBe(basename(path));
  });

  test("without a recipe is no run", () => {
    expect(() => RunDirectory.open(root)).toThrow("there is no run here");
  });
});

describe("a checkpoint", () => {
  test("is a folder that appears whole under its name", () => {
    using run = RunDirectory.create(freshPath(), RECIPE);
    const seen: string[][] = [];
    const path = run.writeCheckpoint("stage1", (folder) => {
      writeFileSync(join(folder, "config.json"), "{}");
      seen.push(run.checkpoints());
    });
    expect(seen).toEqual([[]]);
    expect(run.checkpoints()).toEqual(["stage1"]);
    expect(run.checkpointPath("stage1")).toBe(path);
    expect(readdirSync(path)).toEqual(["config.json"]);
  });

  test("whose writing fails is absent", () => {
    using run = RunDirectory.create(freshPath(), RECIPE);
    const failing = (folder: string): void => {
      writeFileSync(join(folder, "half"), "");
      throw new Error("disk full");
    };
    expect(() => run.writeCheckpoint("stage1", failing)).toThrow("disk full");
    expect(readdirSync(join(run.path, "checkpoints"))).toEqual([]);
  });

  test("is never overwritten", () => {
    using run = RunDirectory.create(freshPath(), RECIPE);
    const path = run.writeCheckpoint("stage1", (folder) =>
      writeFileSync(join(folder, "first"), ""),
    );
    expect(() => run.writeCheckpoint("stage1", () => undefined)).toThrow('"stage1" exists already');
    expect(existsSync(join(path, "first"))).toBe(true);
  });

  test("that does not exist is refused with those that do", () => {
    using run = RunDirectory.create(freshPath(), RECIPE);
    for (const name of ["stage10", "stage2"]) run.writeCheckpoint(name, () => undefined);
    const describeError = (): string => {
      try {
        return run.checkpointPath("stage3");
      } catch (error) {
        return (error as { describe(): string }).describe();
      }
    };
    expect(describeError()).toBe(
      `the run has no checkpoint "stage3" (${run.path}) - it has: stage2, stage10`,
    );
  });

  test("is named after an @", () => {
    expect(splitRunSpec("runs/a@stage2")).toEqual({ path: "runs/a", checkpoint: "stage2" });
    expect(splitRunSpec("runs/a")).toEqual({ path: "runs/a", checkpoint: undefined });
  });
});
