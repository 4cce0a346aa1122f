// `dist/icrl`: the program with everything that it needs inside, as one file. It is written whole or not at all.
import { copyFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENGINE_NAME, MANIFEST_NAME, type Manifest } from "../embedded.ts";

export interface ExecutableParts {
  readonly root: string; // the checkout
  readonly engine: string; // path of the engine library
  readonly fatbins: readonly string[];
  readonly manifest: Manifest;
  readonly output: string;
  /** The executable's time, so that a source edited during the build is newer than it. */
  readonly startedAt: Date;
}

export async function buildExecutable(parts: ExecutableParts): Promise<void> {
  const { root, output, startedAt } = parts;
  const partial = join(dirname(output), `.icrl-${process.pid}`);
  const folder = `${partial}.parts`;
  try {
    const built = await Bun.build({
      entrypoints: [join(root, "src", "main.ts"), ...gather(parts, folder)],
      target: "bun",
      format: "esm",
      bytecode: true, // halves the start-up time
      minify: { whitespace: true, syntax: true, identifiers: false }, // stacks keep their names
      loader: { ".so": "file", ".data": "file", ".fatbin": "file" },
      compile: { outfile: partial, autoloadDotenv: false, autoloadBunfig: false },
    });
    if (!built.success) throw new AggregateError(built.logs, "bundling failed");
    utimesSync(partial, startedAt, startedAt);
    renameSync(partial, output);
  } finally {
    for (const path of [partial, folder]) rmSync(path, { recursive: true, force: true });
  }
}

/** Puts the files to embed under their names (the bundler adds a hash) and returns their paths. */
function gather({ engine, fatbins, manifest }: ExecutableParts, folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  const manifestPath = join(folder, `${MANIFEST_NAME}.data`);
  writeFileSync(manifestPath, JSON.stringify(manifest));
  const enginePath = join(folder, `${ENGINE_NAME}.so`);
  copyFileSync(engine, enginePath);
  return [manifestPath, enginePath, ...fatbins];
}
