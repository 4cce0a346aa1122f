// CUDA kernels (kernels/*.cu) to fatbins, where nvcc is. Without it there are none, and nothing else changes.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Glob } from "bun";
import { UserError } from "../../src/config/errors.ts";
import { hashOf } from "../sources.ts";
import { quoted, runAll } from "./shell.ts";

export interface Fatbins {
  readonly paths: readonly string[];
  readonly nvcc: string | null; // its version
}

/** Ampere, Hopper and Blackwell as machine code; PTX for the rest, which the driver compiles. */
const ARCHITECTURES: readonly string[] = [
  "arch=compute_80,code=sm_80",
  "arch=compute_90a,code=sm_90a",
  "arch=compute_100,code=sm_100",
  "arch=compute_80,code=compute_80",
];

export function buildFatbins(root: string): Fatbins {
  const nvcc = Bun.which("nvcc");
  if (nvcc === null) return { paths: [], nvcc: null };
  const units = [...new Glob("kernels/*.cu").scanSync({ cwd: root })].toSorted();
  buildMissing(nvcc, root, units);
  return { paths: units.map((unit) => fatbinPath(root, unit).path), nvcc: versionOf(nvcc) };
}

/** Where the compiled kernel of a unit is, named by the content of all that it is made of; it is there after a build. */
export function fatbinPath(root: string, unit: string): { readonly name: string; readonly path: string } {
  const headers = [...new Glob("kernels/*.cuh").scanSync({ cwd: root })].toSorted();
  const key = hashOf(...ARCHITECTURES, ...[unit, ...headers].map((path) => readFileSync(join(root, path), "utf8")));
  const name = basename(unit, ".cu");
  return { name, path: join(root, "dist", "fatbins", key, `${name}.fatbin`) };
}

/** Several at a time. */
function buildMissing(nvcc: string, root: string, units: readonly string[]): void {
  const commands = units.flatMap((unit) => {
    const { path } = fatbinPath(root, unit);
    if (existsSync(path)) return [];
    mkdirSync(dirname(path), { recursive: true });
    const targets = ARCHITECTURES.flatMap((it) => ["-gencode", it]);
    const partial = `${path}.${process.pid}`;
    const command = [nvcc, "-fatbin", "-O3", "-std=c++17", ...targets, join(root, unit), "-o", partial];
    return [`${quoted(command)} && mv ${quoted([partial, path])}`];
  });
  const problem = runAll(commands);
  if (problem !== undefined) throw new UserError(`nvcc does not compile the CUDA kernels: ${problem}`);
}

function versionOf(nvcc: string): string {
  const text = Bun.spawnSync([nvcc, "--version"]).stdout.toString();
  return /release ([\d.]+)/.exec(text)?.[1] ?? "unknown";
}
