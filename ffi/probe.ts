// Loads the engine just far enough to say what it is, for the doctor. A failure is an answer here, not an error.
import type { FFIFunction } from "bun:ffi";
import { UserError } from "../src/config/errors.ts";
import { loadEngine } from "./loader.ts";
import { type EngineLocation, locateEngine } from "./locate.ts";

export type EngineProbe =
  | {
      readonly ok: true;
      readonly location: EngineLocation;
      readonly abi: number;
      readonly torchVersion: string; // as the loaded libtorch says
      readonly numCudaDevices: number;
      readonly cudaProblem?: string;
      readonly loadMs: number;
    }
  | { readonly ok: false; readonly problem: string; readonly hint?: string | undefined };

const SYMBOLS = {
  icrl_abi: { args: [], returns: "i32" },
  icrl_torch_version: { args: ["buffer", "i32"], returns: "i32" },
  icrl_cuda_device_count: { args: ["buffer"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

export function probeEngine(): EngineProbe {
  const start = performance.now();
  try {
    const location = locateEngine();
    const { library, cudaProblem } = loadEngine(location, SYMBOLS);
    const version = Buffer.alloc(64);
    library.symbols.icrl_torch_version(version, version.length);
    const numDevices = new Int32Array(1);
    library.symbols.icrl_cuda_device_count(numDevices);
    return {
      ok: true,
      location,
      abi: library.symbols.icrl_abi(),
      torchVersion: version.toString("utf8", 0, version.indexOf(0)),
      numCudaDevices: numDevices[0]!,
      ...(cudaProblem === undefined ? {} : { cudaProblem }),
      loadMs: performance.now() - start,
    };
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    return { ok: false, problem: (error as Error).message, hint };
  }
}
