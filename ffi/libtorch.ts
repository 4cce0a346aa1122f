// Where libtorch is: the candidates of this machine, what each one is, and which one wins. It looks at files and asks
// python3 where its torch lies (without importing it). It loads nothing: that is loader.ts.
//
// Candidates: ICRL_LIBTORCH (wins, or is an error), the torch of the python3 on the PATH, copies that set-up installed
// in the cache folder. One that can drive the machine's GPU is preferred, so a managed CPU copy never shadows a CUDA torch.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { UserError } from "../src/config/errors.ts";

/** The version that set-up installs and that the shipped engine is built for. */
export const PINNED_TORCH = "2.13.0";
/** The oldest version whose headers the engine's sources may be compiled against. */
export const OLDEST_TORCH = "2.11.0";

export type LibtorchSource = "ICRL_LIBTORCH" | "python3" | "managed";

export interface Libtorch {
  readonly source: LibtorchSource;
  readonly root: string; // the folder that holds lib/ and include/
  readonly version: string; // "2.13.0"
  readonly build: string; // "cpu", "cu130", or empty
  readonly hasCuda: boolean;
  readonly hasHeaders: boolean;
}
export type Candidate =
  | { readonly fits: true; readonly libtorch: Libtorch }
  | { readonly fits: false; readonly source: LibtorchSource; readonly root: string; readonly reason: string };

/** What discovery needs to know of a machine; tests make their own. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cacheDir: string;
  readonly hasGpu: boolean;
  /** The folder of the torch package of `python3`, or undefined. Starts a process. */
  readonly pythonTorch: () => string | undefined;
}

export function thisMachine(env: Machine["env"] = process.env): Machine {
  const home = env["HOME"] ?? homedir();
  const cacheDir = resolve(env["ICRL_CACHE"] || join(home, ".cache", "icrl"));
  return { env, cacheDir, hasGpu: seesGpu(env), pythonTorch: () => pythonTorch(env) };
}

/** The libtorch to use. Throws a UserError that says what to do where there is none. */
export function findLibtorch(machine: Machine): Libtorch {
  const named = namedCandidate(machine);
  if (named !== undefined) return fitting(named);
  const managed = managedCandidates(machine);
  const ready = machine.hasGpu ? undefined : managed.find((it) => it.fits && it.libtorch.version === PINNED_TORCH);
  if (ready !== undefined) return fitting(ready); // nothing of python3 could be better: do not start it
  const candidates = [...pythonCandidates(machine), ...managed];
  const best = rank(candidates, machine.hasGpu)[0];
  if (best !== undefined) return best;
  throw new UserError(describeNone(candidates), { hint: installHint(machine) });
}

/** Every candidate, for people: the order is that of the search. */
export function listCandidates(machine: Machine): Candidate[] {
  const named = namedCandidate(machine);
  return [...(named === undefined ? [] : [named]), ...pythonCandidates(machine), ...managedCandidates(machine)];
}

/** Best first: drives the GPU if there is one, then the pinned version, then set-up's own copy, then the newer one. */
function rank(candidates: readonly Candidate[], hasGpu: boolean): Libtorch[] {
  const keys = (it: Libtorch) => [
    Number(hasGpu && it.hasCuda),
    Number(it.version === PINNED_TORCH),
    Number(it.source === "managed"),
  ];
  return candidates
    .flatMap((it) => (it.fits ? [it.libtorch] : []))
    .toSorted((a, b) => {
      const [x, y] = [keys(a), keys(b)];
      const i = x.findIndex((value, at) => value !== y[at]);
      return i < 0 ? compareVersions(b.version, a.version) : y[i]! - x[i]!;
    });
}

function namedCandidate({ env }: Machine): Candidate | undefined {
  const named = env["ICRL_LIBTORCH"];
  if (!named) return undefined;
  const root = [named, join(named, "torch"), join(named, "libtorch")].find(isLibtorch);
  return inspect("ICRL_LIBTORCH", resolve(root ?? named));
}

function pythonCandidates({ pythonTorch }: Machine): Candidate[] {
  const root = pythonTorch();
  return root === undefined ? [] : [inspect("python3", root)];
}

function managedCandidates({ cacheDir }: Machine): Candidate[] {
  const folder = join(cacheDir, "libtorch");
  if (!existsSync(folder)) return [];
  const versions = readdirSync(folder).filter((name) => !name.startsWith("."));
  return versions.toSorted().map((name) => inspect("managed", join(folder, name, "torch")));
}

function fitting(candidate: Candidate): Libtorch {
  if (candidate.fits) return candidate.libtorch;
  throw new UserError(`the libtorch of ${candidate.source} cannot be used: ${candidate.reason}`, {
    where: candidate.root,
    hint: `name the folder of a torch package ${OLDEST_TORCH} or newer, or unset ICRL_LIBTORCH`,
  });
}

function isLibtorch(root: string): boolean {
  return existsSync(join(root, "lib", "libtorch_cpu.so"));
}

function inspect(source: LibtorchSource, root: string): Candidate {
  const unfit = (reason: string): Candidate => ({ fits: false, source, root, reason });
  if (!isLibtorch(root)) return unfit("there is no lib/libtorch_cpu.so in it");
  const full = readVersion(root);
  if (full === undefined) return unfit("its version is not to be read from version.py or build-version");
  const [version = "", build = ""] = full.split("+");
  if (compareVersions(version, OLDEST_TORCH) < 0) return unfit(`version ${version} is older than ${OLDEST_TORCH}`);
  const hasHeaders = existsSync(join(root, "include", "ATen", "ATen.h"));
  if (!hasHeaders && version !== PINNED_TORCH) return unfit("it has no headers (include/) to compile the engine against");
  const hasCuda = existsSync(join(root, "lib", "libtorch_cuda.so"));
  return { fits: true, libtorch: { source, root, version, build, hasCuda, hasHeaders } };
}

/** "2.13.0+cpu", from the Python package's version.py or the C++ distribution's build-version. */
function readVersion(root: string): string | undefined {
  const python = join(root, "version.py");
  if (existsSync(python)) return /^__version__\s*=\s*'([^']+)'/m.exec(readFileSync(python, "utf8"))?.[1];
  const plain = [join(root, "build-version"), join(root, "..", "build-version")].find((it) => existsSync(it));
  return plain === undefined ? undefined : readFileSync(plain, "utf8").trim();
}

export function compareVersions(a: string, b: string): number {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [x, y] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A GPU that a process may use: a device file, and not hidden by CUDA_VISIBLE_DEVICES. */
function seesGpu(env: Machine["env"]): boolean {
  const visible = env["CUDA_VISIBLE_DEVICES"];
  if (visible !== undefined && ["", "-1"].includes(visible.trim())) return false;
  return existsSync("/dev/dxg") || readdirSync("/dev").some((name) => /^nvidia\d+$/.test(name));
}

const FIND_TORCH = `
import importlib.util, sys
sys.path[:] = [path for path in sys.path if path]
spec = importlib.util.find_spec("torch")
print(spec.submodule_search_locations[0] if spec and spec.origin else "")
`;

function pythonTorch(env: Machine["env"]): string | undefined {
  const python = Bun.which("python3", { PATH: env["PATH"] ?? "" });
  if (python === null) return undefined;
  const found = Bun.spawnSync([python, "-c", FIND_TORCH], { env: { ...env }, stderr: "ignore", timeout: 20_000 });
  const root = found.stdout.toString().trim();
  return found.success && root !== "" ? root : undefined;
}

function describeNone(candidates: readonly Candidate[]): string {
  const unfit = candidates.flatMap((it) => (it.fits ? [] : [`${it.root}: ${it.reason}`]));
  return unfit.length === 0 ? "no libtorch was found" : `no libtorch that fits was found (${unfit.join("; ")})`;
}

/** One command that a person can paste. */
export function installHint({ cacheDir }: Machine): string {
  const target = join(cacheDir, "libtorch", PINNED_TORCH);
  return `python3 -m pip install --no-deps --target ${target} torch==${PINNED_TORCH}, or set ICRL_LIBTORCH to a torch folder`;
}
