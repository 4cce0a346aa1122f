// The step shape as real work: prompts of random tokens, sampled by the real engine, trained by the
// real update. Not here: clocks and comparisons.

import { KvCache } from "../ffi/cache.ts";
import { Device, type DeviceKind } from "../ffi/device.ts";
import { Policy } from "../ffi/policy.ts";
import { Trainer } from "../ffi/trainer.ts";
import type { SampledTurn } from "../src/rollout/engine.ts";
import { InProcessEngine } from "../src/rollout/in-process.ts";
import { Role, type Rollout, type Task } from "../src/types.ts";
import { type ShapeName, shapeOf, type StepShape } from "./shapes.ts";

const TASK: Task = { id: "bench", question: "", golds: [], meta: {} };
const PAGE_TOKENS = 64;

/** A random policy that rolls out steps of up to the given shapes and, where asked to, learns. */
export class Worker implements Disposable {
  private constructor(
    readonly policy: Policy,
    readonly engine: InProcessEngine,
    private readonly ownTrainer: Trainer | undefined,
    private readonly owned: DisposableStack,
  ) {}

  static open(
    kind: DeviceKind,
    name: ShapeName,
    shapes: readonly StepShape[],
    options: { readonly trains: boolean },
  ): Worker {
    using stack = new DisposableStack();
    const device = stack.use(Device.open(kind));
    const policy = stack.use(Policy.open(device, shapeOf(name), kind === "cpu" ? "f32" : "bf16"));
    policy.randomize(0, 0.02);
    const numPages = Math.max(...shapes.map((shape) => pagesFor(shape, PAGE_TOKENS)));
    const cache = stack.use(KvCache.open(policy, { numPages, pageTokens: PAGE_TOKENS }));
    const trainer = options.trains ? stack.use(openTrainer(policy)) : undefined;
    return new Worker(policy, new InProcessEngine(policy, cache), trainer, stack.move());
  }

  get trainer(): Trainer {
    if (this.ownTrainer === undefined) throw new Error("this worker was opened without a trainer");
    return this.ownTrainer;
  }

  [Symbol.dispose](): void {
    this.owned.dispose();
  }
}

export const openTrainer = (policy: Policy): Trainer =>
  Trainer.open(policy, { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 });

export interface Prompt {
  readonly shared: Int32Array;
  readonly own: Int32Array;
}

export function randomPrompts({ prompts, shared, own }: StepShape, vocab: number): Prompt[] {
  const tokens = tokenSource(vocab);
  const common = tokens(shared);
  return Array.from({ length: prompts }, () => ({ shared: common, own: tokens(own) }));
}

/** Random token ids from a fixed seed; the first three ids are left to special tokens. */
export function tokenSource(vocab: number): (length: number) => Int32Array {
  let state = 1;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  return (length) => Int32Array.from({ length }, () => 3 + ((next() >>> 4) % (vocab - 3)));
}

/** Pages that hold the whole step. */
function pagesFor(shape: StepShape, pageTokens: number): number {
  const pages = (tokens: number): number => Math.ceil((tokens + 1) / pageTokens) + 1;
  const { prompts, samples, shared, own, sampled } = shape;
  return pages(shared) + prompts * pages(own) + prompts * samples * pages(sampled);
}

/** Every sample to its full length, all in flight. Temperature 0 ignores the seed. */
export async function sampleAll(
  engine: InProcessEngine,
  prompts: readonly Prompt[],
  shape: StepShape,
  seed: number,
  temperature = 1,
): Promise<Rollout[]> {
  const jobs = prompts.flatMap((prompt, group) =>
    Array.from({ length: shape.samples }, (_, sample) =>
      sampleOne(engine, prompt, shape, { seed, group, sample, temperature }),
    ),
  );
  return Promise.all(jobs);
}

interface Stream {
  readonly seed: number;
  readonly group: number;
  readonly sample: number;
  readonly temperature: number;
}

async function sampleOne(
  engine: InProcessEngine,
  { shared, own }: Prompt,
  shape: StepShape,
  stream: Stream,
): Promise<Rollout> {
  using sequence = engine.open([shared, own], shape.sampled);
  const shouldStop = (): boolean => false;
  const sampling = { ...stream, maxTokens: shape.sampled, shouldStop };
  const turn = await sequence.generate(sampling);
  const { tokens_L } = sequence.transcript();
  return asRollout(tokens_L, shape.shared + shape.own, turn, stream);
}

function asRollout(
  tokens_L: Int32Array,
  promptTokens: number,
  turn: SampledTurn,
  { group, sample }: Stream,
): Rollout {
  const { length } = tokens_L;
  const logprobs_L = new Float32Array(length);
  logprobs_L.set(turn.logprobs_N, promptTokens);
  const entropies_L = new Float32Array(length);
  entropies_L.set(turn.entropies_N, promptTokens);
  return {
    groupId: `${group}`,
    sample,
    task: TASK,
    tokens_L,
    roles_L: new Uint8Array(length).fill(Role.policy, promptTokens),
    samplerLogprobs_L: logprobs_L,
    samplerEntropies_L: entropies_L,
    policyVersions_L: new Int32Array(length).fill(-1, 0, promptTokens).fill(turn.policyVersion, promptTokens),
    promptTokens,
    turns: [],
    finish: "max_new_tokens",
    responseText: "",
    policyText: "",
  };
}
