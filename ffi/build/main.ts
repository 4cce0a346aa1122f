// `bun run build`: a libtorch if there is none, the engine, the CUDA kernels, the executable. Each part is made only when
// what it is made of has changed. The launcher (icrl) calls this on a fresh checkout.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import { findLibtorch, type Libtorch, type Machine, PINNED_TORCH, thisMachine } from "../libtorch.ts";
import { locateBuilt } from "../locate.ts";
import { checkoutRoot, engineSources } from "../sources.ts";
import { buildExecutable } from "./executable.ts";
import { buildFatbins } from "./fatbins.ts";
import { installLibtorch } from "./install-libtorch.ts";

async function build(): Promise<void> {
  const startedAt = new Date();
  const root = checkoutRoot();
  const dist = join(root, "dist");
  mkdirSync(dist, { recursive: true });
  const libtorch = provideLibtorch(thisMachine());
  const { library } = locateBuilt(libtorch, report);
  if (library.kind !== "file") throw new Error("a checkout's engine is a file");
  const { paths, nvcc } = buildFatbins(root);
  report("making dist/icrl");
  const manifest = { engineTorch: libtorch.version, nvcc, sources: engineSources() };
  await buildExecutable({ root, engine: library.path, fatbins: paths, manifest, output: join(dist, "icrl"), startedAt });
  for (const folder of ["engine", "objects"]) removeOld(join(dist, folder), startedAt);
  writeFileSync(join(dist, "libtorch"), `${libtorch.root}\n`); // the launcher looks whether it is still there
}

const KEEP_MS = 7 * 24 * 3600 * 1000;

/** Every change of a source leaves files of another name behind. What is removed too early is only made again. */
function removeOld(folder: string, now: Date): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (now.getTime() - statSync(path).mtimeMs > KEEP_MS) rmSync(path, { force: true });
  }
}

/** The engine's headers must be there too, so a libtorch without them counts as none. */
function provideLibtorch(machine: Machine): Libtorch {
  if (machine.env["ICRL_LIBTORCH"]) return findLibtorch(machine);
  const found = tryFind(machine);
  if (found?.hasHeaders) return found;
  report(`installing libtorch ${PINNED_TORCH} with pip, once, into ${machine.cacheDir} (190 MB or more to download)`);
  installLibtorch(machine);
  return findLibtorch(machine);
}

function tryFind(machine: Machine): Libtorch | undefined {
  try {
    return findLibtorch(machine);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function report(line: string): void {
  process.stderr.write(`icrl: ${line}\n`);
}

try {
  await build();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`icrl: ${error.describe()}\n`);
  process.exitCode = 1;
}
