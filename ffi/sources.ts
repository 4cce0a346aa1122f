// The engine's C++ sources as data: read from the checkout, or out of the executable. Not compiled here.
import { Glob } from "bun";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readManifest } from "./embedded.ts";

/** Path relative to the root of the checkout -> text. */
export type Sources = Readonly<Record<string, string>>;

/** Those of the executable where it carries them, else those of the checkout that this file lies in. */
export function engineSources(): Sources {
  return readManifest()?.sources ?? readSources(checkoutRoot());
}

export function checkoutRoot(): string {
  return resolve(import.meta.dir, "..");
}

export function readSources(root: string): Sources {
  const paths = [...new Glob("{ffi,kernels}/**/*.{h,cpp}").scanSync({ cwd: root })].toSorted();
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** Sources are relative to `root` afterwards, as they are in the checkout. */
export function writeSources(sources: Sources, root: string): void {
  for (const [path, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** Names what a compilation depends on; 16 hexadecimal digits. */
export function hashOf(...parts: readonly string[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) hasher.update(`${part.length}:${part}`);
  return hasher.digest("hex").slice(0, 16);
}

/** One unit with everything that it includes from the sources, each once, in the order of first inclusion. */
export function withIncludes(sources: Sources, unit: string): readonly string[] {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, name = ""] of sources[path]!.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
      const found = INCLUDE_FOLDERS.map((folder) => join(folder, name));
      const included = [join(dirname(path), name), ...found].find((it) => it in sources);
      if (included !== undefined) visit(included);
    }
  };
  visit(unit);
  return [...seen];
}

/** Where `#include "x.h"` is looked for, after the folder of the including file. */
export const INCLUDE_FOLDERS: readonly string[] = ["ffi", "ffi/engine", "kernels", "."];
