// Where a policy lives: the CPU or one CUDA device.
import { UserError } from "../src/config/errors.ts";
import { chosenKernels, kernelFiles } from "./kernels.ts";
import { cText, check, cudaDeviceCount, live, native, type NativeHandle, openHandle, readText } from "./native.ts";

export type DeviceKind = "cpu" | "cuda";
export interface DeviceInfo {
  readonly kind: DeviceKind;
  readonly threads: number;
  readonly isa: string; // of the CPU kernels
  readonly free_bytes?: number;
  readonly total_bytes?: number;
}

/** What a device can do at most, as measured just now. */
export interface DeviceLimits {
  readonly engineFlops: number; // a second, in a large product in fp32 (CUDA: bf16) by the engine's kernel
  readonly torchFlops: number; // by torch's
  readonly readBytes: number; // a second, from arrays that no cache holds
  readonly copyBytes: number; // a second, read plus written
}

export class Device implements Disposable {
  #handle: NativeHandle<"device"> | null;

  private constructor(
    handle: NativeHandle<"device">,
    readonly kind: DeviceKind,
    readonly index: number,
  ) {
    this.#handle = handle;
  }

  /** Throws a UserError where the machine has no such device, or not the CUDA kernels that ICRL_CUDA_KERNELS names. */
  static open(kind: DeviceKind, index = 0): Device {
    const kernels = kind === "cuda" ? chosenKernels(process.env["ICRL_CUDA_KERNELS"], kernelFiles()) : [];
    if (kind === "cuda") requireCuda(index);
    const handle = openHandle<"device">((out) => check("icrl_device_open", kind === "cpu" ? 0 : 1, index, out));
    const device = new Device(handle, kind, index);
    try {
      for (const { name, read } of kernels) device.loadKernel(name, read(), { use: true });
    } catch (error) {
      device[Symbol.dispose]();
      throw error;
    }
    return device;
  }

  get handle(): NativeHandle<"device"> {
    return live(this.#handle, "device");
  }

  describe(): DeviceInfo {
    const json = readText((buffer, capacity) => check("icrl_device_describe", this.handle, buffer, capacity));
    return JSON.parse(json) as DeviceInfo;
  }

  /** Takes about two seconds. */
  measureLimits(): DeviceLimits {
    const out = new Float64Array(4);
    check("icrl_device_limits", this.handle, out);
    const [engineFlops, torchFlops, readBytes, copyBytes] = out as unknown as readonly [number, number, number, number];
    return { engineFlops, torchFlops, readBytes, copyBytes };
  }

  /** The largest relative difference of a kernel from its reference in double. */
  checkKernel(name: string, seed = 0): number {
    const error = new Float64Array(1);
    check("icrl_kernel_check", this.handle, cText(name), seed, error);
    return error[0]!;
  }

  /** Takes the file of a CUDA kernel of ours. Unless `use` is true only checkKernel(`cuda.${name}`) runs it. */
  loadKernel(name: string, bytes: Uint8Array, { use }: { readonly use: boolean }): void {
    check("icrl_device_kernel_load", this.handle, cText(name), bytes, bytes.length, use ? 1 : 0);
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    native().calls.icrl_device_close(this.#handle);
    this.#handle = null;
  }
}

function requireCuda(index: number): void {
  const count = cudaDeviceCount();
  if (index < count) return;
  const problem = native().cudaProblem;
  const why = problem === undefined ? "" : `: ${problem}`;
  const what = count === 0 ? "no CUDA device that this libtorch can drive" : `no CUDA device ${index}, only ${count}`;
  throw new UserError(`there is ${what}${why}`, { hint: "icrl doctor says what was found; the other device is cpu" });
}
