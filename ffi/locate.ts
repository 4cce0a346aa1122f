// The engine library that fits the libtorch of this machine, made if it is not there yet. Nothing is loaded here.
//
// Inside the executable: the embedded library where it was built for this very version, else its embedded sources are
// compiled once into the cache folder. From a checkout: dist/engine, compiled again whenever a source has changed.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../src/config/errors.ts";
import { compileEngine, engineKey } from "./build/compile.ts";
import { isExecutable, readEmbeddedEngine, readManifest } from "./embedded.ts";
import { withLock } from "./lock.ts";
import { findLibtorch, type Libtorch, type Machine, thisMachine } from "./libtorch.ts";
import { checkoutRoot, engineSources, hashOf, type Sources, writeSources } from "./sources.ts";

/** `memory`: the cache folder cannot hold it. */
export type EngineLibrary =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "memory"; readonly bytes: Buffer; readonly reason: string };

export interface EngineLocation {
  readonly library: EngineLibrary;
  readonly origin: "embedded" | "compiled" | "checkout";
  readonly libtorch: Libtorch;
  /** Whether libtorch's CUDA half is to be loaded too. */
  readonly wantsCuda: boolean;
}

export interface LocateOptions {
  readonly machine?: Machine;
  /** Hears one line when something takes long. */
  readonly report?: (line: string) => void;
}

export function locateEngine({ machine = thisMachine(), report = toStderr }: LocateOptions = {}): EngineLocation {
  const libtorch = findLibtorch(machine);
  const wantsCuda = machine.hasGpu && libtorch.hasCuda;
  const from = isExecutable() ? locateShipped(libtorch, machine, report) : locateBuilt(libtorch, report);
  return { ...from, libtorch, wantsCuda };
}

type Located = Pick<EngineLocation, "library" | "origin">;

function locateShipped(libtorch: Libtorch, machine: Machine, report: (line: string) => void): Located {
  if (readManifest()?.engineTorch === libtorch.version) {
    return { library: extract(readEmbeddedEngine()!, machine.cacheDir), origin: "embedded" };
  }
  const sources = engineSources();
  const path = join(machine.cacheDir, "engine", `libicrl-engine-${engineKey(sources, libtorch)}.so`);
  if (!existsSync(path)) compileInCache(sources, libtorch, path, report);
  return { library: { kind: "file", path }, origin: "compiled" };
}

/** Path of the library of a checkout; it is there only after a build. */
export function builtEnginePath(libtorch: Libtorch, sources: Sources = engineSources()): string {
  return join(checkoutRoot(), "dist", "engine", `libicrl-engine-${engineKey(sources, libtorch)}.so`);
}

export function locateBuilt(libtorch: Libtorch, report: (line: string) => void): Located {
  const sources = engineSources();
  const output = builtEnginePath(libtorch, sources);
  if (!existsSync(output)) {
    report(`compiling the engine for libtorch ${libtorch.version} (a minute on two cores)`);
    const objectsDir = join(checkoutRoot(), "dist", "objects");
    withLock(`${dirname(output)}.lock`, () => {
      if (existsSync(output)) return;
      compileEngine({ sources, root: checkoutRoot(), libtorch, objectsDir, output });
    });
  }
  return { library: { kind: "file", path: output }, origin: "checkout" };
}

function compileInCache(sources: Sources, libtorch: Libtorch, output: string, report: (line: string) => void): void {
  const folder = dirname(output);
  makeFolder(folder);
  withLock(`${output}.lock`, () => {
    if (existsSync(output)) return;
    report(`compiling the engine for libtorch ${libtorch.version}, once (a minute on two cores)`);
    const root = mkdtempSync(join(folder, ".build-"));
    try {
      writeSources(sources, root);
      compileEngine({ sources, root, libtorch, objectsDir: join(root, "objects"), output });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
}

/** The library as a file named by its content, written once; in memory where no file can be written. */
function extract(bytes: Buffer, cacheDir: string): EngineLibrary {
  const path = join(cacheDir, "engine", `libicrl-engine-${hashOf(bytes.toString("latin1"))}.so`);
  try {
    if (!holds(path, bytes)) replace(path, bytes);
    return { kind: "file", path };
  } catch (error) {
    return { kind: "memory", bytes, reason: `${path}: ${(error as Error).message}` };
  }
}

function holds(path: string, bytes: Buffer): boolean {
  return existsSync(path) && readFileSync(path).equals(bytes);
}

function replace(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, bytes, { mode: 0o755 });
  renameSync(partial, path);
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new UserError(`the cache folder cannot be written: ${(error as Error).message}`, {
      hint: "set ICRL_CACHE to a folder that can",
    });
  }
}

function toStderr(line: string): void {
  process.stderr.write(`icrl: ${line}\n`);
}
