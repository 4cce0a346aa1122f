// Which files a data source means, and what it is called. Order is that of the names, so that a run
// can be repeated.

import { statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { UserError } from "../config/errors.ts";

/** The file, or what a glob matches. Throws UserError where that is nothing. */
export function matchingFiles(pattern: string): readonly string[] {
  if (!isGlob(pattern)) return [existing(pattern)];
  const found = [...new Bun.Glob(pattern).scanSync({ onlyFiles: true })].toSorted();
  if (found.length === 0) throw new UserError("no file matches", { where: pattern });
  return found;
}

function existing(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new UserError("there is no such file", { where: path });
  if (!stat.isDirectory()) return path;
  const hint = `name its files: ${path.replace(/\/+$/, "")}/*.parquet`;
  throw new UserError("this is a folder", { where: path, hint });
}

/** `nq/train` for data/nq/train.jsonl.gz; `nq` for data/nq/*.parquet. */
export function sourceName({
  path,
  name,
}: {
  readonly path: string;
  readonly name?: string | undefined;
}): string {
  if (name !== undefined) return name;
  const folder = basename(dirname(resolve(path))); // however the path is written
  const isPlace = /\w/.test(folder) && !isGlob(folder);
  if (isGlob(basename(path))) return isPlace ? folder : "data";
  return isPlace ? `${folder}/${stemOf(path)}` : stemOf(path);
}

/** The file's name without what says its format. */
export function stemOf(path: string): string {
  return basename(path).replace(/(\.(jsonl?|parquet|gz))+$/i, "");
}

const isGlob = (path: string): boolean => /[*?[\]{}]/.test(path);
