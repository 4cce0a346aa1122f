// C++ sources to one shared library for one libtorch. Synchronous, since it also runs at the first use of an engine that
// no one has compiled yet. It decides nothing about where things are kept.
//
// The library links against no libtorch and no OpenMP runtime: both are loaded globally before it (loader.ts), so that
// the process has one of each, and one library serves the CPU and the CUDA build of a version.
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import type { Libtorch } from "../libtorch.ts";
import { hashOf, INCLUDE_FOLDERS, type Sources, withIncludes } from "../sources.ts";
import { quoted, runAll } from "./shell.ts";

export interface CompileOptions {
  readonly sources: Sources;
  readonly root: string; // the folder that the sources lie in
  readonly libtorch: Libtorch;
  readonly objectsDir: string; // objects are kept there by content
  readonly output: string;
  readonly path?: string | undefined; // where compilers are looked for; the PATH
}

interface Unit {
  readonly source: string;
  readonly object: string;
  readonly usesTorch: boolean;
}

/** Compiles what is not yet compiled and links. `output` appears whole or not at all. */
export function compileEngine(options: CompileOptions): void {
  const compiler = findCompiler(options.path);
  const units = unitsOf(options);
  mkdirSync(options.objectsDir, { recursive: true });
  mkdirSync(dirname(options.output), { recursive: true });
  const missing = units.filter((unit) => !existsSync(unit.object));
  const header = precompiledHeader(options);
  const command = (unit: Unit) => showing(compileCommand(compiler, unit, header, options));
  const [plain, torch] = [missing.filter((unit) => !unit.usesTorch), missing.filter((unit) => unit.usesTorch)];
  compileAll([...(torch.length > 0 ? precompile(compiler, header, options) : []), ...plain.map(command)]);
  compileAll(torch.map(command));
  if (isWatched() && missing.length > 0) process.stderr.write("\n");
  link(compiler, units, options.output);
}

export function findCompiler(path = process.env["PATH"] ?? ""): string {
  const found = ["g++", "c++", "clang++"].map((name) => Bun.which(name, { PATH: path })).find((it) => it !== null);
  if (found !== undefined) return found;
  throw new UserError("a C++ compiler is needed to build the engine for this libtorch, and there is none", {
    hint: "install g++ (Debian package g++)",
  });
}

/** Changes whenever the library would: sources, flags, libtorch. */
export function engineKey(sources: Sources, libtorch: Libtorch): string {
  const texts = Object.entries(sources).flat();
  return hashOf(libtorch.version, process.arch, ...FLAGS, ...Object.values(EXTRA_FLAGS).flat(), ...texts);
}

const FLAGS: readonly string[] = [
  "-std=c++20",
  "-O2",
  "-fPIC",
  "-fopenmp",
  "-D_GLIBCXX_USE_CXX11_ABI=1",
  "-Wall",
  "-Wno-unknown-pragmas",
];

/** By the end of a file's name: the inner loops, which may use instructions that not every processor has. */
const EXTRA_FLAGS: Readonly<Record<string, readonly string[]>> = {
  ".base.cpp": ["-O3"],
  ".avx2.cpp": ["-O3", "-mavx2", "-mfma", "-mf16c"],
  ".avx512.cpp": ["-O3", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
};

function flagsOf(source: string): readonly string[] {
  const extra = Object.entries(EXTRA_FLAGS).find(([suffix]) => source.endsWith(suffix))?.[1] ?? [];
  return [...FLAGS, ...extra.filter((flag) => process.arch === "x64" || !flag.startsWith("-m"))];
}

function unitsOf({ sources, libtorch, objectsDir }: CompileOptions): Unit[] {
  const units = Object.keys(sources).filter((path) => path.endsWith(".cpp"));
  if (units.length === 0) throw new Error("the engine has no sources");
  return units.map((source) => {
    const texts = withIncludes(sources, source).flatMap((path) => [path, sources[path]!]);
    const key = hashOf(libtorch.version, process.arch, ...flagsOf(source), ...texts);
    const usesTorch = texts.some((text) => /#\s*include\s*<(ATen|torch)\//.test(text));
    return { source, object: join(objectsDir, `${basename(source, ".cpp")}-${key}.o`), usesTorch };
  });
}

/** libtorch's headers take 6 of the 9 seconds of a unit. They are compiled once, which costs about one unit. */
const TORCH_HEADERS: readonly string[] = ["ATen/ATen.h", "ATen/Dispatch.h", "ATen/Parallel.h", "ATen/CPUGeneratorImpl.h"];

function precompiledHeader({ libtorch, objectsDir }: CompileOptions): string {
  return join(objectsDir, `torch-${hashOf(libtorch.version, libtorch.root, ...FLAGS, ...TORCH_HEADERS)}.h`);
}

function precompile(compiler: string, header: string, { libtorch }: CompileOptions): string[] {
  if (existsSync(`${header}.gch`)) return [];
  writeFileSync(header, TORCH_HEADERS.map((it) => `#include <${it}>\n`).join(""));
  return [compileTo(`${header}.gch`, [compiler, ...FLAGS, ...torchIncludes(libtorch), "-x", "c++-header", header])];
}

function torchIncludes({ root }: Libtorch): string[] {
  return ["include", "include/torch/csrc/api/include"].flatMap((it) => ["-isystem", join(root, it)]);
}

function compileCommand(compiler: string, unit: Unit, header: string, { root, libtorch }: CompileOptions): string {
  const { source, object, usesTorch } = unit;
  const includes = INCLUDE_FOLDERS.flatMap((it) => ["-I", join(root, it)]);
  const torch = usesTorch ? ["-include", header, ...torchIncludes(libtorch)] : [];
  return compileTo(object, [compiler, ...flagsOf(source), ...torch, ...includes, "-c", join(root, source)]);
}

/** `output` appears when the command has succeeded. */
function compileTo(output: string, command: readonly string[]): string {
  const partial = `${output}.${process.pid}`;
  return `${quoted([...command, "-o", partial])} && mv ${quoted([partial, output])}`;
}

/** Every symbol is bound when the library is loaded, so a missing one is an error then and not in the middle of a run. */
function link(compiler: string, units: readonly Unit[], output: string): void {
  const partial = `${output}.${process.pid}`;
  const objects = units.map((unit) => unit.object);
  compileAll([quoted([compiler, "-shared", "-Wl,-z,now", "-o", partial, ...objects])]);
  renameSync(partial, output);
}

/** A person at a terminal sees a dot for each unit that is done. */
const isWatched = (): boolean => process.stderr.isTTY;

function showing(command: string): string {
  return isWatched() ? `${command} && printf . > /proc/${process.pid}/fd/2` : command;
}

function compileAll(commands: readonly string[]): void {
  const problem = runAll(commands);
  if (problem === undefined) return;
  throw new UserError(`the engine does not compile: ${problem}`, { hint: "ICRL_BUILD_VERBOSE=1 shows all of the compiler's output" });
}
