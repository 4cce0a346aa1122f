// Installs the pinned libtorch into the cache folder with pip, on a machine that has none. Whole or not at all: pip
// writes to a temporary folder that is renamed at the end, so two set-ups at once do no harm.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import { type Machine, PINNED_TORCH } from "../libtorch.ts";

export function installLibtorch(machine: Machine): void {
  const target = join(machine.cacheDir, "libtorch", PINNED_TORCH);
  mkdirSync(dirname(target), { recursive: true });
  const partial = mkdtempSync(join(dirname(target), ".install-"));
  try {
    // A GPU needs all of the CUDA packages; a processor needs none, or the two that libtorch_cpu links to.
    pipInstall(partial, [`torch==${PINNED_TORCH}`], machine.hasGpu);
    const runtime = machine.hasGpu ? [] : cudaRuntime(partial);
    if (runtime.length > 0) pipInstall(partial, runtime, false);
    if (!existsSync(target)) renameSync(partial, target);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function pipInstall(target: string, packages: readonly string[], withDependencies: boolean): void {
  const options = ["--target", target, "--no-compile", "--quiet", "--root-user-action=ignore", "--disable-pip-version-check"];
  const command = ["python3", "-m", "pip", "install", ...options, ...(withDependencies ? [] : ["--no-deps"]), ...packages];
  const run = Bun.spawnSync(command, { stdin: "ignore", stdout: "inherit", stderr: "pipe" });
  if (run.success) return;
  const lines = run.stderr.toString().trim().split("\n");
  const reason = lines.find((line) => line.startsWith("ERROR")) ?? lines.at(-1) ?? "no message";
  throw new UserError(`pip could not install ${packages.join(" ")}: ${reason}`, {
    hint: "install torch for python3 yourself, or set ICRL_LIBTORCH to a torch folder",
  });
}

const CUDA_RUNTIME: readonly string[] = ["nvidia-cuda-runtime", "nvidia-cuda-cupti"];

/** What a CUDA wheel's libtorch_cpu links to, as pip requirements. Empty for a CPU wheel. */
export function cudaRuntime(target: string): string[] {
  const cuda = /^cuda[^=]*=\s*'(\d+)\.(\d+)'/m.exec(readFileSync(join(target, "torch", "version.py"), "utf8"));
  if (cuda === null) return [];
  const [, major = "", minor = ""] = cuda;
  const stated = requirements(target);
  const suffix = Number(major) < 13 ? `-cu${major}` : "";
  return CUDA_RUNTIME.map((name) => stated.find((it) => it.startsWith(name)) ?? `${name}${suffix}==${major}.${minor}.*`);
}

/** "nvidia-cuda-runtime==13.0.96" for each requirement of the wheel, without its conditions. */
function requirements(target: string): string[] {
  const info = readdirSync(target).find((name) => /^torch-.*\.dist-info$/.test(name));
  if (info === undefined) return [];
  const metadata = readFileSync(join(target, info, "METADATA"), "utf8");
  return [...metadata.matchAll(/^Requires-Dist:\s*([^\s;]+)/gm)].map(([, requirement = ""]) => requirement);
}
