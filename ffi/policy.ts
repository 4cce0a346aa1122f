// The policy's weights on a device, and the logprobs of a batch under them.
// Legend: T tokens of a batch, S trie nodes, N targets.
import type { Device } from "./device.ts";
import { InvalidArgumentError } from "./errors.ts";
import { cText, check, live, native, type NativeHandle, openHandle } from "./native.ts";

export type Dtype = "f32" | "f64" | "bf16" | "f16";
export const DTYPE_CODE: Readonly<Record<Dtype, number>> = { f32: 0, f64: 1, bf16: 2, f16: 3 };
const ELEMENT_BYTES: Readonly<Record<Dtype, number>> = { f32: 4, f64: 8, bf16: 2, f16: 2 };

/** Sizes and switches of a decoder of the Qwen2, Qwen3 and Llama 3 families. */
export interface PolicyConfig {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocab: number;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
  readonly tied: boolean;
  readonly rmsEps: number;
  readonly ropeAttentionScale: number;
  readonly invFreq: Float64Array; // [headDim / 2]
}

/** A prefix trie in depth-first order; `icrl_policy_logprobs` in icrl.h defines it. */
export interface TrieBatch {
  readonly tokens_T: Int32Array;
  readonly positions_T: Int32Array;
  readonly segments_S3: Int32Array; // [start, end of its own tokens, end of its subtree]
  readonly targetRows_N: Int32Array;
  readonly targetIds_N: Int32Array;
}

export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface Logprobs {
  readonly logprobs_N: Float64Array;
  readonly entropies_N: Float64Array;
}

export type HostArray = Float32Array | Float64Array | Uint16Array;

export class Policy implements Disposable {
  #handle: NativeHandle<"policy"> | null;
  #tensors: readonly TensorInfo[] | undefined;

  private constructor(
    handle: NativeHandle<"policy">,
    readonly config: PolicyConfig,
    readonly dtype: Dtype,
    readonly device: Device,
  ) {
    this.#handle = handle;
  }

  /** Weights are uninitialised. */
  static open(device: Device, config: PolicyConfig, dtype: Dtype): Policy {
    if (config.invFreq.length !== config.headDim / 2) {
      throw new InvalidArgumentError("Policy.open", "invFreq must have headDim / 2 entries");
    }
    const packed = packConfig(config);
    const handle = openHandle<"policy">((out) =>
      check("icrl_policy_open", device.handle, packed, config.invFreq, DTYPE_CODE[dtype], out),
    );
    return new Policy(handle, config, dtype, device);
  }

  get handle(): NativeHandle<"policy"> {
    return live(this.#handle, "policy");
  }

  /** Counts weight changes. */
  get version(): number {
    const out = new Int32Array(1);
    check("icrl_policy_version", this.handle, out);
    return out[0]!;
  }

  randomize(seed: number, std: number): void {
    check("icrl_policy_randomize", this.handle, seed, std);
  }

  tensors(): readonly TensorInfo[] {
    this.#tensors ??= Array.from({ length: this.#tensorCount() }, (_, index) => this.#describe(index));
    return this.#tensors;
  }

  write(name: string, data: HostArray, dtype: Dtype): void {
    requireElement(data, dtype);
    check("icrl_policy_tensor_write", this.handle, cText(name), DTYPE_CODE[dtype], data, data.length);
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.readInto(name, new Float32Array(this.numel(name)), "f32");
  }

  readF64(name: string): Float64Array<ArrayBuffer> {
    return this.readInto(name, new Float64Array(this.numel(name)), "f64");
  }

  /** Fills `out`, whose elements have the given dtype, and returns it. */
  readInto<A extends HostArray>(name: string, out: A, dtype: Dtype): A {
    requireElement(out, dtype);
    check("icrl_policy_tensor_read", this.handle, cText(name), DTYPE_CODE[dtype], out, out.length);
    return out;
  }

  numel(name: string): number {
    const info = this.tensors().find((tensor) => tensor.name === name);
    if (info === undefined) throw new InvalidArgumentError("Policy", `there is no tensor ${name}`);
    return info.shape.reduce((product, size) => product * size, 1);
  }

  /** Copies all weights of a policy of the same config. */
  copyFrom(other: Policy): void {
    check("icrl_policy_copy", this.handle, other.handle);
  }

  /** Without gradients; `Trainer.logprobs` keeps what a backward needs. */
  logprobs(batch: TrieBatch, temperature = 1): Logprobs {
    const out = newLogprobs(batch);
    check("icrl_policy_logprobs", this.handle, ...batchArgs(batch), temperature, out.logprobs_N, out.entropies_N);
    return out;
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    native().calls.icrl_policy_close(this.#handle);
    this.#handle = null;
  }

  #tensorCount(): number {
    const out = new Int32Array(1);
    check("icrl_policy_tensor_count", this.handle, out);
    return out[0]!;
  }

  #describe(index: number): TensorInfo {
    const name = new Uint8Array(256);
    const shape = new BigInt64Array(2);
    const dims = new Int32Array(1);
    check("icrl_policy_tensor_describe", this.handle, index, name, name.length, shape, dims);
    const text = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    return { name: text, shape: [...shape].slice(0, dims[0]).map(Number) };
  }
}

/** The arguments of a batch, in the order of the C API. */
export function batchArgs(batch: TrieBatch) {
  const { tokens_T, positions_T, segments_S3, targetRows_N, targetIds_N } = batch;
  requireLength("positions_T", positions_T.length, tokens_T.length);
  requireLength("targetIds_N", targetIds_N.length, targetRows_N.length);
  if (targetRows_N.length === 0) throw new InvalidArgumentError("TrieBatch", "a batch needs at least one target");
  const numSegments = segments_S3.length / 3;
  return [
    tokens_T.length,
    tokens_T,
    positions_T,
    numSegments,
    segments_S3,
    targetRows_N.length,
    targetRows_N,
    targetIds_N,
  ] as const;
}

export function newLogprobs(batch: TrieBatch): Logprobs {
  const targets = batch.targetRows_N.length;
  return { logprobs_N: new Float64Array(targets), entropies_N: new Float64Array(targets) };
}

export function requireLength(what: string, length: number, expected: number): void {
  if (length !== expected) throw new InvalidArgumentError(what, `has ${length} elements, expected ${expected}`);
}

/** `struct icrl_policy_config`: ten int32 and two doubles. */
function packConfig(config: PolicyConfig): Uint8Array {
  const view = new DataView(new ArrayBuffer(56));
  const { hidden, layers, heads, kvHeads, headDim, ffn, vocab, qkvBias, qkNorm, tied } = config;
  const ints = [hidden, layers, heads, kvHeads, headDim, ffn, vocab, Number(qkvBias), Number(qkNorm), Number(tied)];
  ints.forEach((value, index) => view.setInt32(4 * index, value, true));
  view.setFloat64(40, config.rmsEps, true);
  view.setFloat64(48, config.ropeAttentionScale, true);
  return new Uint8Array(view.buffer);
}

function requireElement(data: HostArray, dtype: Dtype): void {
  if (data.BYTES_PER_ELEMENT !== ELEMENT_BYTES[dtype]) {
    throw new InvalidArgumentError("Policy", `an array of ${data.BYTES_PER_ELEMENT}-byte elements is not ${dtype}`);
  }
}
