// C++ sources to one shared library for one libtorch. Synchronous, since it also runs at the first use of an engine that
// no one has compiled yet. It decides nothing about where things are kept.
//
// The library links against no libtorch and no OpenMP runtime: both are loaded globally before it (loader.ts), so that
// the process has one of each, and one library serves the CPU and the CUDA build of a version.
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { basename, dirname, join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import type { Libtorch } from "../libtorch.ts";
import { hashOf, INCLUDE_FOLDERS, type Sources, withIncludes } from "../sources.ts";

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
}

/** Compiles what is not yet compiled and links. `output` appears whole or not at all. */
export function compileEngine(options: CompileOptions): void {
  const compiler = findCompiler(options.path);
  const units = unitsOf(options);
  mkdirSync(options.objectsDir, { recursive: true });
  mkdirSync(dirname(options.output), { recursive: true });
  const missing = units.filter((unit) => !existsSync(unit.object));
  runAll(missing.map((unit) => compileCommand(compiler, unit, options)));
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

/** By the end of a file's name: units that may use instructions that not every processor has. */
const EXTRA_FLAGS: Readonly<Record<string, readonly string[]>> = {
  ".avx2.cpp": ["-mavx2", "-mfma", "-mf16c"],
  ".avx512.cpp": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
};

function flagsOf(source: string): readonly string[] {
  const extra = Object.entries(EXTRA_FLAGS).find(([suffix]) => source.endsWith(suffix))?.[1] ?? [];
  return [...FLAGS, ...(source.startsWith("kernels/") ? ["-O3"] : []), ...(process.arch === "x64" ? extra : [])];
}

function unitsOf({ sources, libtorch, objectsDir }: CompileOptions): Unit[] {
  const units = Object.keys(sources).filter((path) => path.endsWith(".cpp"));
  if (units.length === 0) throw new Error("the engine has no sources");
  return units.map((source) => {
    const texts = withIncludes(sources, source).flatMap((path) => [path, sources[path]!]);
    const key = hashOf(libtorch.version, process.arch, ...flagsOf(source), ...texts);
    return { source, object: join(objectsDir, `${basename(source, ".cpp")}-${key}.o`) };
  });
}

function compileCommand(compiler: string, { source, object }: Unit, { root, libtorch }: CompileOptions): string {
  const torchIncludes = ["include", "include/torch/csrc/api/include"].map((it) => join(libtorch.root, it));
  const includes = [
    ...INCLUDE_FOLDERS.flatMap((it) => ["-I", join(root, it)]),
    ...torchIncludes.flatMap((it) => ["-isystem", it]),
  ];
  const partial = `${object}.${process.pid}`;
  const compile = [compiler, ...flagsOf(source), ...includes, "-c", join(root, source), "-o", partial];
  return `${quoted(compile)} && mv ${quoted([partial, object])}`;
}

/** Every symbol is bound when the library is loaded, so a missing one is an error then and not in the middle of a run. */
function link(compiler: string, units: readonly Unit[], output: string): void {
  const partial = `${output}.${process.pid}`;
  const objects = units.map((unit) => unit.object);
  runAll([quoted([compiler, "-shared", "-Wl,-z,now", "-o", partial, ...objects])]);
  renameSync(partial, output);
}

/** Runs shell commands, several at a time. Throws with what they printed when one fails. */
function runAll(commands: readonly string[]): void {
  if (commands.length === 0) return;
  const stdin = Buffer.from(commands.map((command) => `${command}\0`).join(""));
  const jobs = String(numJobs());
  const run = Bun.spawnSync(["xargs", "-0", "-n", "1", "-P", jobs, "sh", "-c"], { stdin, stderr: "pipe" });
  if (run.success) return;
  const output = run.stderr.toString();
  const first = output.split("\n").find((line) => /error|not found|cannot/i.test(line)) ?? output.trim();
  if (process.env["ICRL_BUILD_VERBOSE"]) process.stderr.write(output);
  throw new UserError(`the engine does not compile: ${first}`, {
    hint: "ICRL_BUILD_VERBOSE=1 shows all of the compiler's output",
  });
}

/** A compiler that reads libtorch's headers takes about 1.5 GiB. */
function numJobs(): number {
  const byMemory = Math.floor(totalmem() / (2 * 2 ** 30));
  return Math.max(1, Math.min(availableParallelism(), byMemory, 8));
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
