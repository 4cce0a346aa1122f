// A lock between processes: a folder, since making one either works or finds it there. A lock whose owner has died is
// taken over. For work of seconds to minutes that must not be done twice at once; it is not fair and not fast.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Runs `work` while this process holds the lock; waits for another process's first. */
export function withLock<T>(folder: string, work: () => T): T {
  mkdirSync(dirname(folder), { recursive: true });
  while (!take(folder)) {
    if (isAbandoned(folder)) rmSync(folder, { recursive: true, force: true });
    else Bun.sleepSync(100);
  }
  try {
    return work();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function take(folder: string): boolean {
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  writeFileSync(join(folder, "pid"), String(process.pid));
  return true;
}

/** The owner is gone, or it died between making the folder and signing it (10 s are more than that takes). */
function isAbandoned(folder: string): boolean {
  try {
    return !isAlive(Number(readFileSync(join(folder, "pid"), "utf8")));
  } catch {
    const since = statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
    return since !== undefined && Date.now() - since > 10_000;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
