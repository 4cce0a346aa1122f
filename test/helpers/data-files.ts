// A temporary folder with files of rows, gone when its `using` scope ends; and the line that a
// person would see for a refusal.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { UserError } from "../../src/config/errors.ts";

export interface DataFolder extends Disposable {
  readonly path: string;
  /** The file's path. */
  write(name: string, content: string | Uint8Array): string;
}

export function dataFolder(): DataFolder {
  const path = mkdtempSync(join(tmpdir(), "icrl-data-"));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

export function jsonl(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** What a UserError says, without the folder's path. */
export async function refusal(act: () => unknown, folder?: DataFolder): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const line = error.describe();
    return folder === undefined ? line : line.replaceAll(`${folder.path}/`, "");
  }
  return "accepted";
}
