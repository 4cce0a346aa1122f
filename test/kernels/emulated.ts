// Compiles kernels for the emulator: a test program a kernel (with the compiler's sanitizers), and the driver with all of them.
// What has been compiled from the same sources is kept in dist/emulated.
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { hashOf } from "../../ffi/sources.ts";

const ROOT = join(import.meta.dir, "..", "..");
const COMPILER = Bun.which("g++");

/** Why nothing can be emulated here, for a test's name; empty where it can. */
export const whyNot = COMPILER === null ? " (skipped: no g++ on the PATH)" : "";

/** Bad accesses end the program: beyond an array, or a vector that is not aligned. */
const SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];

/** The path of the program of test/kernels/<name>.cpp. */
export async function program(name: string): Promise<string> {
  return await compile(name, SANITIZED);
}

/** The path of the emulated libcuda. */
export async function driver(): Promise<string> {
  return await compile("driver", ["-O1", "-shared", "-fPIC"]);
}

async function compile(name: string, flags: readonly string[]): Promise<string> {
  const unit = join("test", "kernels", `${name}.cpp`);
  const patterns = ["kernels/*.cu", "kernels/*.cuh", "kernels/geometry.h", "test/kernels/*.h"];
  const sources = patterns.flatMap((it) => [...new Glob(it).scanSync({ cwd: ROOT })].toSorted());
  const texts = [unit, ...sources].map((path) => readFileSync(join(ROOT, path), "utf8"));
  const folder = join(ROOT, "dist", "emulated");
  const output = join(folder, `${name}-${hashOf(...flags, ...texts)}`);
  if (existsSync(output)) return output;
  mkdirSync(folder, { recursive: true });
  const partial = `${output}.${process.pid}`;
  const warnings = ["-Wall", "-Werror", "-Wno-unknown-pragmas"];
  const includes = ["-I", join(ROOT, "test", "kernels")];
  const command = [COMPILER!, "-std=c++20", ...flags, ...warnings, ...includes, join(ROOT, unit), "-o", partial];
  const run = Bun.spawn(command, { stderr: "pipe" });
  const problem = await new Response(run.stderr).text();
  if ((await run.exited) !== 0) throw new Error(`${unit} does not compile: ${problem}`);
  renameSync(partial, output);
  return output;
}
