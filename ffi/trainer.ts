// Gradients and optimizer state of one policy. The order is logprobs, backward, any number of times, then step.
// Legend: N targets of a batch.
import { InvalidArgumentError } from "./errors.ts";
import { adapterTensors, type LoraConfig, targetBits } from "./lora.ts";
import { cText, check, live, native, type NativeHandle, openHandle } from "./native.ts";
import {
  batchArgs,
  DTYPE_CODE,
  type Logprobs,
  newLogprobs,
  type Policy,
  type TensorInfo,
  type TrieBatch,
} from "./policy.ts";

/** What the optimizer of a full fine-tune keeps between steps; absent: fp32 on the device. */
export interface KeptState {
  readonly stateBits?: 32 | 8; // of a moment of AdamW; 8 in blocks with a scale each. Default: 32
  readonly masterWeights?: boolean; // false: a bf16 policy's own only, rounded stochastically. Default: true
  readonly offload?: boolean; // moments and master weights in the host's memory. Default: false
}

/** AdamW; with `muonMomentum` the layers' matrices are trained by Muon instead. */
export interface TrainerConfig extends KeptState {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly muonMomentum?: number;
  readonly decayMatricesOnly?: boolean;
  readonly headRows?: number; // logits rows that exist at once; default: about 32 MiB of them
  readonly lora?: LoraConfig; // only adapters learn
  readonly seed?: number; // of stochastic rounding and of fresh adapters
}

/** Of which layers only the inputs are kept for the backward: none, all, or the first so many. */
export type Recompute = "nothing" | "layers" | number;

const TENSOR_CODE = { gradient: 0, first_moment: 1, second_moment: 2, master: 3 } as const;
export type TrainerTensor = keyof typeof TENSOR_CODE;

export class Trainer implements Disposable {
  #handle: NativeHandle<"trainer"> | null;
  #pendingTargets: number | undefined;

  private constructor(
    handle: NativeHandle<"trainer">,
    readonly policy: Policy,
    readonly config: TrainerConfig,
    readonly base: Policy | undefined,
  ) {
    this.#handle = handle;
  }

  /**
   * `base`: with `config.lora` the frozen weights, which outlive the trainer; the policy becomes a copy of them, merged with
   * the adapters from then on. Else absent.
   */
  static open(policy: Policy, config: TrainerConfig, base?: Policy): Trainer {
    const packed = packConfig(config);
    const from = base?.handle ?? null;
    const handle = openHandle<"trainer">((out) => check("icrl_trainer_open", policy.handle, from, packed, out));
    return new Trainer(handle, policy, config, base);
  }

  /** What learns: all of the policy's tensors, or those of its adapters. */
  tensors(): readonly TensorInfo[] {
    const { lora } = this.config;
    return lora === undefined ? this.policy.tensors() : adapterTensors(this.policy.tensors(), lora);
  }

  get handle(): NativeHandle<"trainer"> {
    return live(this.#handle, "trainer");
  }

  /** Keeps the activations for `backward`. */
  logprobs(batch: TrieBatch, options: { temperature: number; recompute?: Recompute }): Logprobs {
    const out = newLogprobs(batch);
    check(
      "icrl_trainer_logprobs",
      this.handle,
      ...batchArgs(batch),
      options.temperature,
      recomputedLayers(options.recompute ?? "nothing", this.policy.config.layers),
      out.logprobs_N,
      out.entropies_N,
    );
    this.#pendingTargets = batch.targetRows_N.length;
    return out;
  }

  /** dL/dlogprob and dL/dentropy of the last batch's targets; adds to the gradients. */
  backward(dLogprobs_N: Float64Array, dEntropies_N?: Float64Array): void {
    const expected = this.#pendingTargets ?? dLogprobs_N.length;
    if (dLogprobs_N.length !== expected || (dEntropies_N ?? dLogprobs_N).length !== expected) {
      throw new InvalidArgumentError("Trainer.backward", `the batch has ${expected} targets`);
    }
    this.#pendingTargets = undefined;
    check("icrl_trainer_backward", this.handle, expected, dLogprobs_N, dEntropies_N ?? null);
  }

  /** Drops kept activations and gradients. */
  zero(): void {
    this.#pendingTargets = undefined;
    check("icrl_trainer_zero", this.handle);
  }

  /** maxGradNorm <= 0 does not clip. gradNorm is before clipping. */
  step(options: { learningRate: number; muonLearningRate?: number; maxGradNorm: number }): { gradNorm: number } {
    const out = new Float64Array(1);
    const { learningRate, muonLearningRate = 0, maxGradNorm } = options;
    check("icrl_trainer_step", this.handle, learningRate, muonLearningRate, maxGradNorm, out);
    return { gradNorm: out[0]! };
  }

  get steps(): number {
    const out = new Int32Array(1);
    check("icrl_trainer_steps_read", this.handle, out);
    return out[0]!;
  }

  set steps(steps: number) {
    check("icrl_trainer_steps_write", this.handle, steps);
  }

  readTensor(which: TrainerTensor, name: string): Float32Array<ArrayBuffer> {
    const out = new Float32Array(this.#numel(name));
    this.#transfer("icrl_trainer_tensor_read", which, name, out);
    return out;
  }

  readTensorF64(which: TrainerTensor, name: string): Float64Array<ArrayBuffer> {
    const out = new Float64Array(this.#numel(name));
    this.#transfer("icrl_trainer_tensor_read", which, name, out);
    return out;
  }

  writeTensor(which: TrainerTensor, name: string, data: Float32Array | Float64Array): void {
    this.#transfer("icrl_trainer_tensor_write", which, name, data);
  }

  #numel(name: string): number {
    const info = this.tensors().find((tensor) => tensor.name === name);
    if (info === undefined) throw new InvalidArgumentError("Trainer", `there is no tensor ${name} that learns`);
    return info.shape.reduce((product, size) => product * size, 1);
  }

  #transfer(
    call: "icrl_trainer_tensor_read" | "icrl_trainer_tensor_write",
    which: TrainerTensor,
    name: string,
    data: Float32Array | Float64Array,
  ): void {
    const dtype = data instanceof Float64Array ? DTYPE_CODE.f64 : DTYPE_CODE.f32;
    check(call, this.handle, TENSOR_CODE[which], cText(name), dtype, data, data.length);
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    native().calls.icrl_trainer_close(this.#handle);
    this.#handle = null;
  }
}

function recomputedLayers(recompute: Recompute, layers: number): number {
  if (typeof recompute === "number") return recompute;
  return recompute === "layers" ? layers : 0;
}

/** `struct icrl_trainer_config`: six doubles, seven int32 and a uint32. */
function packConfig(config: TrainerConfig): Uint8Array {
  const view = new DataView(new ArrayBuffer(80));
  const { beta1, beta2, eps, weightDecay, muonMomentum = 0, decayMatricesOnly = false, headRows = 0 } = config;
  const { lora, stateBits = 32, masterWeights = true, offload = false, seed = 0 } = config;
  const doubles = [beta1, beta2, eps, weightDecay, muonMomentum, lora?.alpha ?? 0];
  doubles.forEach((value, index) => view.setFloat64(8 * index, value, true));
  const targets = lora === undefined ? 0 : targetBits(lora.targets);
  const ints = [Number(decayMatricesOnly), headRows, lora?.rank ?? 0, targets];
  ints.push(stateBits, Number(masterWeights), Number(offload), seed | 0);
  ints.forEach((value, index) => view.setInt32(48 + 4 * index, value, true));
  return new Uint8Array(view.buffer);
}
