// The run that a person most likely means when none is named: whose checkpoint was written last.

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isRun, RunFolder } from "./directory.ts";

/** `root`/name, or undefined where no run in `root` has a checkpoint. */
export function newestRun(root: string): string | undefined {
  if (!existsSync(root)) return undefined;
  const runs = readdirSync(root)
    .map((name) => join(root, name))
    .filter(isRun)
    .map((path) => ({ path, at: lastWritten(new RunFolder(path)) }))
    .filter(({ at }) => at > 0);
  return runs.toSorted((a, b) => a.at - b.at).at(-1)?.path;
}

/** Milliseconds since 1970; 0 without a checkpoint. */
function lastWritten(run: RunFolder): number {
  const times = run.checkpoints().map((name) => statSync(run.checkpointPath(name)).mtimeMs);
  return Math.max(0, ...times);
}
