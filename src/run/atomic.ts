// Files and folders that are whole or absent: written under a temporary name, flushed to the disk,
// then renamed.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** A name beside `path` that no reader looks for. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = temporaryName(path);
  writeFileSync(temporary, data, { flush: true });
  renameSync(temporary, path);
  syncPath(dirname(path));
}

/**
 * `fill` writes into an empty folder, which then appears as `path`. An existing `path` that is not
 * empty is an error.
 */
export function writeFolderAtomic(path: string, fill: (folder: string) => void): void {
  const temporary = temporaryName(path);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    fill(temporary);
    for (const name of readdirSync(temporary)) syncPath(join(temporary, name));
    syncPath(temporary);
    renameSync(temporary, path);
  } finally {
    if (existsSync(temporary)) rmSync(temporary, { recursive: true });
  }
  syncPath(dirname(path));
}

/** What was written as `temporary` appears as `path`, in the place of what was there. */
export function moveIntoPlace(temporary: string, path: string): void {
  syncPath(temporary);
  renameSync(temporary, path);
  syncPath(dirname(path));
}

function syncPath(path: string): void {
  const descriptor = openSync(path, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
