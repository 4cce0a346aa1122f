import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RunDirectory } from "../../src/run/directory.ts";
import { newestRun } from "../../src/run/newest-run.ts";
import { dataFolder } from "../helpers/data-files.ts";

setDefaultTimeout(60_000);

test("the newest run is the one whose checkpoint was written last", () => {
  using folder = dataFolder();
  const root = join(folder.path, "runs");
  const write = (name: string, checkpoints: Readonly<Record<string, number>>): void => {
    using run = RunDirectory.create(join(root, name), "name: nano\n");
    for (const [checkpoint, at] of Object.entries(checkpoints)) {
      const path = run.writeCheckpoint(checkpoint, (to) => writeFileSync(join(to, "a"), ""));
      utimesSync(path, at, at);
    }
  };
  expect(newestRun(root)).toBeUndefined();
  write("empty", {});
  mkdirSync(join(root, "no-run"));
  expect(newestRun(root)).toBeUndefined();
  write("old", { stage1: 100, stage2: 300 });
  write("new", { stage1: 400 });
  write("older", { stage1: 200 });
  expect(newestRun(root)).toBe(join(root, "new"));
});
