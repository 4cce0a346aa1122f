// CUDA kernels (kernels/*.cu) to fatbins, where nvcc is. Without it there are none, and nothing else changes.
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { Glob } from "bun";
import { UserError } from "../../src/config/errors.ts";
import { hashOf } from "../sources.ts";

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

export function buildFatbins(root: string, outputDir: string): Fatbins {
  const nvcc = Bun.which("nvcc");
  if (nvcc === null) return { paths: [], nvcc: null };
  const units = [...new Glob("kernels/*.cu").scanSync({ cwd: root })].toSorted();
  mkdirSync(outputDir, { recursive: true });
  return { paths: units.map((unit) => buildFatbin(nvcc, root, unit, outputDir)), nvcc: versionOf(nvcc) };
}

function buildFatbin(nvcc: string, root: string, unit: string, outputDir: string): string {
  const headers = [...new Glob("kernels/*.{cuh,h}").scanSync({ cwd: root })].toSorted();
  const key = hashOf(...ARCHITECTURES, ...[unit, ...headers].map((path) => readFileSync(join(root, path), "utf8")));
  const output = join(outputDir, key, `${basename(unit, ".cu")}.fatbin`);
  if (existsSync(output)) return output;
  mkdirSync(join(outputDir, key), { recursive: true });
  const partial = `${output}.${process.pid}`;
  const targets = ARCHITECTURES.flatMap((it) => ["-gencode", it]);
  const command = [nvcc, "-fatbin", "-O3", "-std=c++17", ...targets, join(root, unit), "-o", partial];
  const run = Bun.spawnSync(command, { stderr: "pipe" });
  if (!run.success) throw new UserError(`nvcc does not compile ${unit}: ${run.stderr.toString().trim()}`);
  renameSync(partial, output);
  return output;
}

function versionOf(nvcc: string): string {
  const text = Bun.spawnSync([nvcc, "--version"]).stdout.toString();
  return /release ([\d.]+)/.exec(text)?.[1] ?? "unknown";
}
