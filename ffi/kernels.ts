// Our own CUDA kernels as files (fatbins) and the choice among them. They are off: ICRL_CUDA_KERNELS=all, or names with commas,
// makes a CUDA device use them in place of libtorch's operations. Nothing is loaded here: that is device.ts.
import { existsSync, readFileSync } from "node:fs";
import { Glob } from "bun";
import { UserError } from "../src/config/errors.ts";
import { fatbinPath } from "./build/fatbins.ts";
import { isExecutable, listFatbins, readFatbin } from "./embedded.ts";
import { checkoutRoot } from "./sources.ts";

export interface KernelFile {
  readonly name: string; // "rmsnorm"
  readonly read: () => Buffer;
}

/** The compiled kernels at hand: those in the executable, or from a checkout those that its build made. */
export function kernelFiles(): KernelFile[] {
  if (isExecutable()) return listFatbins().map((name) => ({ name, read: () => readFatbin(name) }));
  const root = checkoutRoot();
  const units = [...new Glob("kernels/*.cu").scanSync({ cwd: root })].toSorted();
  const files = units.map((unit) => fatbinPath(root, unit)).filter(({ path }) => existsSync(path));
  return files.map(({ name, path }) => ({ name, read: () => readFileSync(path) }));
}

/** What `choice` (ICRL_CUDA_KERNELS: unset, none, all, or names) asks for. Throws a UserError for what is not there. */
export function chosenKernels(choice: string | undefined, files: readonly KernelFile[]): readonly KernelFile[] {
  if (choice === undefined || choice === "" || choice === "none") return [];
  if (files.length === 0) throw new UserError(`ICRL_CUDA_KERNELS is ${choice}, but this icrl has no CUDA kernels`, { hint: NO_KERNELS });
  if (choice === "all") return files;
  return choice.split(",").map((name) => {
    const file = files.find((it) => it.name === name.trim());
    if (file !== undefined) return file;
    const names = files.map((it) => it.name).join(", ");
    throw new UserError(`ICRL_CUDA_KERNELS names no kernel: "${name.trim()}"`, { hint: `there are ${names}; or all, or none` });
  });
}

const NO_KERNELS = "build it where nvcc is on the PATH (npm run build), or unset ICRL_CUDA_KERNELS";
