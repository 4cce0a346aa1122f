// What the build puts beside the code inside the executable: the engine, its manifest and CUDA kernels. From a checkout
// there is nothing of it, and every function here says so with undefined or an empty list.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Written by the build (ffi/build/main.ts). */
export interface Manifest {
  readonly engineTorch: string; // the libtorch version that the embedded engine was built for
  readonly nvcc: string | null; // its version, or null where the build machine had none
  readonly sources: Readonly<Record<string, string>>;
}

export const MANIFEST_NAME = "icrl-manifest";
export const ENGINE_NAME = "libicrl-engine";

export function readManifest(): Manifest | undefined {
  const bytes = readEmbedded(MANIFEST_NAME);
  return bytes === undefined ? undefined : (JSON.parse(bytes.toString("utf8")) as Manifest);
}

export function readEmbeddedEngine(): Buffer | undefined {
  return readEmbedded(ENGINE_NAME);
}

/** Names of the embedded CUDA kernels, without hash and extension. */
export function listFatbins(): string[] {
  return fileNames().filter((name) => name.endsWith(".fatbin")).map(stem);
}

/** One of those that listFatbins names. */
export function readFatbin(name: string): Buffer {
  const file = fileNames().find((it) => it.endsWith(".fatbin") && stem(it) === name);
  if (file === undefined) throw new Error(`no CUDA kernel ${name} is embedded`);
  return readFileSync(join(import.meta.dir, file));
}

/** True inside `dist/icrl`. */
export function isExecutable(): boolean {
  return fileNames().some((name) => stem(name) === MANIFEST_NAME);
}

function readEmbedded(wanted: string): Buffer | undefined {
  const name = fileNames().find((it) => stem(it) === wanted);
  return name === undefined ? undefined : readFileSync(join(import.meta.dir, name));
}

function fileNames(): string[] {
  return Bun.embeddedFiles.map((file) => (file as Blob & { readonly name: string }).name);
}

/** "libicrl-engine-1a2b3c4d.so" -> "libicrl-engine": the bundler adds a hash to each name. */
function stem(name: string): string {
  return name.replace(/(-[a-z0-9]{8})?\.\w+$/, "");
}
