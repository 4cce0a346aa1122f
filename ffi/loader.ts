// Loads libtorch and then the engine into this process. The one file in which libraries are opened.
//
// libtorch's libraries come first, by absolute path, with their symbols visible to all that follows: the engine names
// none of them itself, and $ORIGIN means nothing to a library that came out of an executable.
import { CString, dlopen, type FFIFunction, type Library } from "bun:ffi";
import { readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../src/config/errors.ts";
import type { EngineLibrary, EngineLocation } from "./locate.ts";
import type { Libtorch } from "./libtorch.ts";

export interface LoadedEngine<Symbols extends Record<string, FFIFunction>> {
  readonly library: Library<Symbols>;
  /** Why libtorch's CUDA half is not there although it was wanted. */
  readonly cudaProblem?: string;
}

export function loadEngine<Symbols extends Record<string, FFIFunction>>(
  location: EngineLocation,
  symbols: Symbols,
): LoadedEngine<Symbols> {
  const cudaProblem = loadTorch(location.libtorch, location.wantsCuda);
  const library = openEngine(location.library, symbols);
  return { library, ...(cudaProblem === undefined ? {} : { cudaProblem }) };
}

/** Returns what went wrong with the CUDA half; throws for the rest. */
function loadTorch(libtorch: Libtorch, wantsCuda: boolean): string | undefined {
  const lib = join(libtorch.root, "lib");
  const gomp = readdirSync(lib).filter((name) => /^libgomp[-.]/.test(name));
  const problem = firstProblem(lib, [...gomp, "libc10.so", "libtorch_cpu.so"]);
  if (problem !== undefined) {
    throw new UserError(`libtorch ${libtorch.version} does not load: ${problem}`, { hint: hintFor(problem) });
  }
  return wantsCuda ? firstProblem(lib, ["libc10_cuda.so", "libtorch_cuda.so"]) : undefined;
}

function firstProblem(lib: string, names: readonly string[]): string | undefined {
  for (const name of names) {
    const problem = openGlobally(join(lib, name));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function hintFor(problem: string): string {
  return /libcud|libcupti|libnv/.test(problem)
    ? "install nvidia-cuda-runtime and nvidia-cuda-cupti beside it with pip, or use a CPU build of torch"
    : "reinstall it, or set ICRL_LIBTORCH to another torch folder";
}

const RTLD_NOW = 2;
const RTLD_GLOBAL = 0x100;
const LIBC = {
  dlopen: { args: ["buffer", "i32"], returns: "ptr" },
  dlerror: { args: [], returns: "ptr" },
  memfd_create: { args: ["buffer", "u32"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

function libc() {
  return dlopen("libc.so.6", LIBC).symbols;
}

/** Returns the loader's message when it failed. The library stays for as long as the process. */
function openGlobally(path: string): string | undefined {
  const { dlopen: open, dlerror } = libc();
  if (open(Buffer.from(`${path}\0`), RTLD_NOW | RTLD_GLOBAL) !== null) return undefined;
  const message = dlerror();
  return message === null ? `${path} did not open` : new CString(message).toString();
}

function openEngine<S extends Record<string, FFIFunction>>(library: EngineLibrary, symbols: S): Library<S> {
  if (library.kind === "memory") return dlopen(inMemory(library.bytes), symbols);
  try {
    return dlopen(library.path, symbols);
  } catch (error) {
    if (isNoexec(error)) return dlopen(inMemory(readFileSync(library.path)), symbols);
    throw oldSystem(error as Error) ?? error;
  }
}

/** An engine that was linked on a newer system than this one. */
export function oldSystem({ message }: Error): UserError | undefined {
  const missing = /version [`'"]((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found/.exec(message)?.[1];
  if (missing === undefined) return undefined;
  const hint = "the embedded engine needs glibc 2.34 and libstdc++ of gcc 11 or newer; from a checkout it is built for this system";
  return new UserError(`the engine does not load: this system has no ${missing}`, { hint });
}

/** A folder mounted noexec refuses to map the file; memory does not. */
function isNoexec(error: unknown): boolean {
  return /failed to map segment/.test((error as Error).message);
}

/** The path of an anonymous file that lives as long as the process. */
function inMemory(bytes: Buffer): string {
  const descriptor = libc().memfd_create(Buffer.from("icrl-engine\0"), 0);
  if (descriptor < 0) throw new Error("memfd_create failed");
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
  return `/proc/self/fd/${descriptor}`;
}
