// What the doctor looks at, each as data. Nothing is printed here, and a check that fails is a verdict, not an exception.
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from "node:fs";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { dirname } from "node:path";
import pkg from "../../package.json";
import { isExecutable } from "../../ffi/embedded.ts";
import { kernelFiles } from "../../ffi/kernels.ts";
import { type Candidate, installHint, listCandidates, type Machine, thisMachine } from "../../ffi/libtorch.ts";
import { type EngineProbe, probeEngine } from "../../ffi/probe.ts";

/** `missing` and `failed` stop the main job; a `note` does not. */
export type Verdict = "ok" | "note" | "missing" | "failed";
export interface Check {
  readonly name: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What a person can do about it. */
  readonly todo?: string;
}

export function checkMachine(): Check[] {
  const machine = thisMachine();
  const probe = probeEngine();
  return [
    checkExecutable(),
    ...checkLibtorch(machine, probe),
    checkEngine(probe),
    checkProcessor(),
    checkMemory(),
    checkGpu(machine, probe),
    checkCudaKernels(machine),
    checkCache(machine),
    ...checkTools(),
  ];
}

function checkExecutable(): Check {
  const detail = isExecutable()
    ? `icrl ${pkg.version}, ${process.execPath} (${mebibytes(statSync(process.execPath).size)})`
    : `icrl ${pkg.version}, from its sources with bun ${Bun.version}`;
  return { name: "executable", verdict: "ok", detail };
}

/** The one in use first, then the others with the reason why not. */
function checkLibtorch(machine: Machine, probe: EngineProbe): Check[] {
  const used = probe.ok ? probe.location.libtorch.root : undefined;
  const candidates = listCandidates(machine);
  const others = candidates.filter((it) => rootOf(it) !== used).map((it) => describeUnused(it));
  if (!probe.ok) return [{ name: "libtorch", verdict: "missing", detail: probe.problem, todo: probe.hint ?? installHint(machine) }, ...others];
  const { source, root } = probe.location.libtorch;
  const detail = `${probe.torchVersion}, ${SOURCES[source]}, ${root}`;
  return [{ name: "libtorch", verdict: "ok", detail }, ...others];
}

const SOURCES = { ICRL_LIBTORCH: "named by ICRL_LIBTORCH", python3: "of python3", managed: "installed by set-up" } as const;

function rootOf(candidate: Candidate): string {
  return candidate.fits ? candidate.libtorch.root : candidate.root;
}

function describeUnused(candidate: Candidate): Check {
  const name = "libtorch";
  if (!candidate.fits) {
    const { source, root, reason } = candidate;
    return { name, verdict: "note", detail: `not usable: ${SOURCES[source]}, ${root}: ${reason}` };
  }
  const { source, root, version, build } = candidate.libtorch;
  const full = build === "" ? version : `${version}+${build}`;
  return { name, verdict: "ok", detail: `also found: ${full}, ${SOURCES[source]}, ${root}` };
}

function checkEngine(probe: EngineProbe): Check {
  const name = "engine";
  if (!probe.ok) return { name, verdict: "missing", detail: "not loaded, see libtorch" };
  const { library, origin } = probe.location;
  const where = library.kind === "file" ? library.path : "in memory";
  const detail = `ABI ${probe.abi}, ${ORIGINS[origin]}, ${where}, ready in ${Math.round(probe.loadMs)} ms`;
  if (library.kind === "file") return { name, verdict: "ok", detail };
  return { name, verdict: "note", detail, todo: `the cache folder did not take it (${library.reason}); set ICRL_CACHE` };
}

const ORIGINS = {
  embedded: "embedded",
  compiled: "compiled on this machine from the embedded sources",
  checkout: "built from the checkout",
} as const;

function checkProcessor(): Check {
  const flags = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  const vectors = /\bavx512f\b/.test(flags) ? ", AVX-512" : /\bavx2\b/.test(flags) ? ", AVX2" : "";
  const threads = `${availableParallelism()} threads`;
  return { name: "processor", verdict: "ok", detail: `${threads}, ${cpus()[0]?.model.trim() ?? process.arch}${vectors}` };
}

const NANO_MEMORY_BYTES = 2 * 2 ** 30;

function checkMemory(): Check {
  const detail = `${gibibytes(totalmem())}, ${gibibytes(freemem())} free`;
  if (freemem() >= NANO_MEMORY_BYTES) return { name: "memory", verdict: "ok", detail };
  return { name: "memory", verdict: "note", detail, todo: `the main job wants ${gibibytes(NANO_MEMORY_BYTES)}` };
}

function checkGpu(machine: Machine, probe: EngineProbe): Check {
  const name = "gpu";
  if (!machine.hasGpu) return { name, verdict: "ok", detail: "none; the processor is used" };
  if (!probe.ok) return { name, verdict: "note", detail: "there is one, unused: no engine" };
  if (probe.cudaProblem !== undefined) return { name, verdict: "note", detail: `unused: ${probe.cudaProblem}`, todo: "reinstall torch with its CUDA packages" };
  if (probe.numCudaDevices > 0) return { name, verdict: "ok", detail: `${probe.numCudaDevices} CUDA device(s)` };
  const todo = "install a CUDA build of torch for python3, or name one with ICRL_LIBTORCH";
  return { name, verdict: "note", detail: "there is one, but this libtorch cannot drive it", todo };
}

/** Our own; libtorch's are used in their place unless ICRL_CUDA_KERNELS says otherwise. */
function checkCudaKernels(machine: Machine): Check {
  const name = "CUDA kernels";
  const files = kernelFiles();
  const choice = process.env["ICRL_CUDA_KERNELS"];
  if (files.length === 0) {
    const detail = "none of ours (there was no nvcc when this was built); libtorch's own are used";
    return { name, verdict: machine.hasGpu ? "note" : "ok", detail };
  }
  const used = choice === undefined || choice === "" ? "none" : choice;
  return { name, verdict: "ok", detail: `${files.map((it) => it.name).join(", ")}; in use: ${used}` };
}

function checkCache({ cacheDir }: Machine): Check {
  const name = "cache";
  const folder = nearestExisting(cacheDir);
  const free = statfsSync(folder);
  const detail = `${cacheDir}, ${gibibytes(free.bavail * free.bsize)} free`;
  if (isWritable(folder)) return { name, verdict: "ok", detail };
  return { name, verdict: "note", detail: `${cacheDir} cannot be written`, todo: "set ICRL_CACHE to a folder that can" };
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function checkTools(): Check[] {
  return [checkTool("python3", ["--version"], "only set-up and a Python tool need it; Debian package python3")];
}

function checkTool(name: string, args: readonly string[], todo: string): Check {
  const path = Bun.which(name);
  if (path === null) return { name, verdict: "note", detail: "not on the PATH", todo };
  const run = Bun.spawnSync([path, ...args], { stderr: "ignore", timeout: 10_000 });
  return { name, verdict: "ok", detail: `${run.stdout.toString().trim()}, ${path}` };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
