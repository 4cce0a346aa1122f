// Large policies with random weights, opened in seconds: the engine draws normal numbers on one
// core of the host, which takes minutes for ten billion. Here a million are drawn and repeated at
// other places in every tensor. Good for timing, and for nothing that depends on the values.

import { KvCache } from "../../ffi/cache.ts";
import { Device, type DeviceKind } from "../../ffi/device.ts";
import { Policy } from "../../ffi/policy.ts";
import { Trainer, type TrainerConfig } from "../../ffi/trainer.ts";
import { InProcessEngine } from "../../src/rollout/in-process.ts";
import { Random } from "../../src/data/random.ts";
import { type ShapeName, shapeOf } from "../shapes.ts";

export const ADAMW: TrainerConfig = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };

const POOL = 2 ** 20 + 7; // no multiple of a row, so that rows differ
const STD = 0.02;

export function fillRandom(policy: Policy): void {
  const sizes = policy.tensors().map(({ shape }) => shape.reduce((product, n) => product * n, 1));
  const values = repeated(bf16Normals(POOL, STD), Math.max(...sizes) + POOL);
  policy.tensors().forEach(({ name, shape }, i) => {
    const from = (i * 7919) % POOL;
    if (shape.length === 2) policy.write(name, values.subarray(from, from + sizes[i]!), "bf16");
    else policy.write(name, new Float32Array(sizes[i]!).fill(name.endsWith(".bias") ? 0 : 1), "f32");
  });
}

/** Box and Muller's, rounded to bf16. */
function bf16Normals(count: number, std: number): Uint16Array {
  const random = new Random(1, "weights");
  const normal = (): number =>
    std * Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  const bits = new Uint32Array(Float32Array.from({ length: count }, normal).buffer);
  return Uint16Array.from(bits, (each) => (each + 0x8000) >>> 16);
}

function repeated(pool: Uint16Array, length: number): Uint16Array {
  const all = new Uint16Array(length);
  for (let at = 0; at < length; at += pool.length) all.set(pool.subarray(0, length - at), at);
  return all;
}

const PAGE_TOKENS = { cpu: 16, cuda: 256 } as const;

export interface OpenOptions {
  readonly cacheTokens?: number; // absent: no cache
  /** Pages that are only partly filled: about two a sequence. */
  readonly sequences?: number;
  readonly trainer?: TrainerConfig;
  /** A second policy with the same weights: a KL reference, or what adapters belong to. */
  readonly twin?: boolean;
}

/** A random policy with what is asked for beside it, closed together. */
export class Opened implements Disposable {
  private constructor(
    readonly device: Device,
    readonly policy: Policy,
    private readonly parts: Parts,
    private readonly owned: DisposableStack,
  ) {}

  static open(kind: DeviceKind, name: ShapeName, options: OpenOptions): Opened {
    using stack = new DisposableStack();
    const device = stack.use(Device.open(kind));
    const config = shapeOf(name);
    const open = (): Policy => Policy.open(device, config, "bf16");
    const policy = stack.use(open());
    fillRandom(policy);
    const twin = options.twin === true ? stack.use(open()) : undefined;
    twin?.copyFrom(policy);
    const trainer = openTrainer(policy, twin, options);
    if (trainer !== undefined) stack.use(trainer);
    const engine = options.cacheTokens === undefined ? undefined : openEngine(stack, policy, options);
    return new Opened(device, policy, { twin, trainer, engine }, stack.move());
  }

  get trainer(): Trainer {
    return there(this.parts.trainer);
  }
  get engine(): InProcessEngine {
    return there(this.parts.engine);
  }
  get twin(): Policy {
    return there(this.parts.twin);
  }

  [Symbol.dispose](): void {
    this.owned.dispose();
  }
}

interface Parts {
  readonly twin: Policy | undefined;
  readonly trainer: Trainer | undefined;
  readonly engine: InProcessEngine | undefined;
}

/** With adapters the twin is what they belong to. */
function openTrainer(
  policy: Policy,
  twin: Policy | undefined,
  { trainer }: OpenOptions,
): Trainer | undefined {
  if (trainer === undefined) return undefined;
  return Trainer.open(policy, trainer, trainer.lora === undefined ? undefined : twin);
}

function openEngine(
  stack: DisposableStack,
  policy: Policy,
  { cacheTokens = 0, sequences = 0 }: OpenOptions,
): InProcessEngine {
  const pageTokens = PAGE_TOKENS[policy.device.kind];
  const numPages = Math.ceil(cacheTokens / pageTokens) + 2 * sequences + 4;
  const cache = stack.use(KvCache.open(policy, { numPages, pageTokens }));
  return new InProcessEngine(policy, cache);
}

function there<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("this was not opened");
  return part;
}
