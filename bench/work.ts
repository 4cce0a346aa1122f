// The step shape as real work: prompts of random tokens, sampled by the real engine, trained by the real update.
import type { InProcessEngine } from "../src/rollout/in-process.ts";
import type { SampledTurn } from "../src/rollout/engine.ts";
import { Role, type Rollout, type Task } from "../src/types.ts";
import type { StepShape } from "./shapes.ts";

const TASK: Task = { id: "bench", question: "", golds: [], meta: {} };

export interface Prompt {
  readonly shared: Int32Array;
  readonly own: Int32Array;
}

export function randomPrompts({ prompts, shared, own }: StepShape, vocab: number): Prompt[] {
  let state = 1;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  const tokens = (length: number) => Int32Array.from({ length }, () => 3 + (next() % (vocab - 3)));
  const common = tokens(shared);
  return Array.from({ length: prompts }, () => ({ shared: common, own: tokens(own) }));
}

/** Pages that hold the whole step. */
export function pagesFor(shape: StepShape, pageTokens: number): number {
  const pages = (tokens: number) => Math.ceil((tokens + 1) / pageTokens) + 1;
  const { prompts, samples, shared, own, sampled } = shape;
  return pages(shared) + prompts * pages(own) + prompts * samples * pages(sampled);
}

/** Every sample to its full length, all in flight. */
export async function sampleAll(engine: InProcessEngine, prompts: readonly Prompt[], shape: StepShape, seed: number) {
  const jobs = prompts.flatMap((prompt, group) =>
    Array.from({ length: shape.samples }, (_, sample) => sampleOne(engine, prompt, shape, { seed, group, sample })),
  );
  return Promise.all(jobs);
}

async function sampleOne(
  engine: InProcessEngine,
  { shared, own }: Prompt,
  shape: StepShape,
  stream: { readonly seed: number; readonly group: number; readonly sample: number },
): Promise<Rollout> {
  const sequence = engine.open([shared, own], shape.sampled);
  try {
    const turn = await sequence.generate({ ...stream, maxTokens: shape.sampled, temperature: 1, shouldStop: () => false });
    return asRollout(sequence.transcript().tokens_L, turn, shape, stream);
  } finally {
    sequence[Symbol.dispose]();
  }
}

function asRollout(
  tokens_L: Int32Array,
  turn: SampledTurn,
  shape: StepShape,
  { group, sample }: { readonly group: number; readonly sample: number },
): Rollout {
  const promptTokens = shape.shared + shape.own;
  const spread = <A extends Float32Array | Int32Array>(into: A, values: ArrayLike<number>) => {
    into.set(values, promptTokens);
    return into;
  };
  const length = tokens_L.length;
  return {
    groupId: `${group}`,
    sample,
    task: TASK,
    tokens_L,
    roles_L: Uint8Array.from({ length }, (_, i) => (i < promptTokens ? Role.prompt : Role.policy)),
    samplerLogprobs_L: spread(new Float32Array(length), turn.logprobs_N),
    samplerEntropies_L: spread(new Float32Array(length), turn.entropies_N),
    policyVersions_L: new Int32Array(length).fill(turn.policyVersion, promptTokens).fill(-1, 0, promptTokens),
    promptTokens,
    turns: [],
    finish: "max_new_tokens",
    responseText: "",
    policyText: "",
  };
}
