// What a step's rollouts look like before there are any: prompts as they are, responses of an
// assumed length. As branches of a trie, they are split and costed like real ones. Samples part at
// their first token here, so a real step shares at least as much. Pure. Shape letters: P prompts,
// B branches.

import type { Branches } from "../branches.ts";

export interface StepPrompts {
  /** Tokens that all prompts begin with: demonstrations, and what stands around them. */
  readonly shared: number;
  /** Tokens after those, of each prompt. */
  readonly own_P: readonly number[];
}

/** A rollout after its prompt: turns of the policy, an observation between two of them. */
export interface ResponseShape {
  readonly sampled: number; // tokens of the policy, over all turns
  readonly turns: number;
  readonly observation: number; // tokens of one
}

export const responseTokens = ({ sampled, turns, observation }: ResponseShape): number =>
  sampled + (turns - 1) * observation;

export function promptsOf(prompts: readonly Int32Array[]): StepPrompts {
  const [first] = prompts;
  if (first === undefined) return { shared: 0, own_P: [] };
  const shared = prompts.reduce((least, each) => commonLength(first, each, least), first.length);
  return { shared, own_P: prompts.map(({ length }) => length - shared) };
}

function commonLength(a: Int32Array, b: Int32Array, atMost: number): number {
  let length = 0;
  while (length < Math.min(atMost, b.length) && a[length] === b[length]) length++;
  return length;
}

export interface StepShape {
  readonly prompts: StepPrompts;
  readonly samples: number; // of each prompt
  readonly response: ResponseShape;
  readonly context: number; // no rollout is longer
}

/** Groups lie next to each other, as in the sorted trie of real rollouts. */
export function branchesOf({ prompts, samples, response, context }: StepShape): Branches {
  const { shared, own_P } = prompts;
  const lengths_B = own_P.flatMap((own) => {
    const length = Math.min(context, shared + own + responseTokens(response)) - 1;
    return Array.from({ length: samples }, () => length);
  });
  const shared_B = own_P.flatMap((own, p) =>
    Array.from({ length: samples }, (_, sample) => {
      if (sample > 0) return Math.min(shared + own, context - 1);
      return p === 0 ? 0 : Math.min(shared, context - 1);
    }),
  );
  const targets_B = lengths_B.map((length, b) => {
    const prompt = shared + own_P[Math.floor(b / samples)]!;
    return Math.max(0, Math.min(response.sampled, length + 1 - prompt));
  });
  return {
    sources_B: Int32Array.from(lengths_B.keys()),
    lengths_B: Int32Array.from(lengths_B),
    targets_B: Int32Array.from(targets_B),
    shared_B: Int32Array.from(shared_B),
  };
}
