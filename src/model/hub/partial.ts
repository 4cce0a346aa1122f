// A file while it is fetched: beside its final name, owned by one process at a time, kept when the
// connection breaks so that the next pull goes on with it. Taking one over is a rename, which only
// one of several processes can win; so there is no lock that a killed process could leave behind.
// Two pulls that begin at the same moment may both fetch a file; the result is the same.

import { readdirSync, renameSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

const ABANDONED = ".icrl.incomplete";
const OWNED = /\.icrl-(.+)-(\d+)-[0-9a-f]+\.incomplete$/;
/** An owner writes at least this often, unless it is gone. */
const STALE_MS = 180_000;

/** A name of our own beside `path`. */
export function partialPath(path: string): string {
  const host = hostname().replace(/[^\w.]/g, "_");
  const unique = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(16);
  return `${path}.icrl-${host}-${process.pid}-${unique}.incomplete`;
}

/** Renames what an earlier pull left of `path` to `own`, if there is any. */
export function adoptPartial(path: string, own: string): void {
  for (const left of partialsOf(path).filter((each) => !isOwned(each)))
    if (renamed(left, own)) return;
}

/** Leaves the partial file to whoever comes next. */
export function abandonPartial(path: string, own: string): void {
  renamed(own, path + ABANDONED);
}

/** Whether a living process is fetching `path`. */
export function isBeingFetched(path: string): boolean {
  return partialsOf(path).some(isOwned);
}

function partialsOf(path: string): string[] {
  const [folder, name] = [dirname(path), basename(path)];
  const mine = (file: string): boolean =>
    file === name + ABANDONED || (file.startsWith(`${name}.icrl-`) && OWNED.test(file));
  return readdirSync(folder)
    .filter(mine)
    .map((file) => join(folder, file));
}

function isOwned(partial: string): boolean {
  const [, host, pid] = OWNED.exec(partial) ?? [];
  const age = Date.now() - (statSync(partial, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (pid === undefined || age > STALE_MS) return false;
  return host !== hostname().replace(/[^\w.]/g, "_") || isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false; // another was faster
    throw error;
  }
}
