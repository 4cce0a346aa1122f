// What rollouts need from whatever samples tokens: token-in, token-out sequences of several turns.
// The in-process engine is the first implementation; engines behind HTTP come later. Not here:
// text, tools, tags, limits (rollout.ts).

import type { TopToken } from "./top-tokens.ts";

/**
 * Runs of tokens, outermost first: demonstrations, then question. Equal runs below equal runs are
 * computed once.
 */
export type PromptRuns = readonly Int32Array[];

export interface Sampling {
  readonly maxTokens: number;
  readonly temperature: number; // 0 takes the most probable token
  /**
   * With these three and its position, a token's noise is named: a sample does not depend on its
   * batch.
   */
  readonly seed: number;
  readonly group: number;
  readonly sample: number;
  /** How many of the most probable tokens are reported beside each sampled one; absent: none. */
  readonly numTop?: number;
  /**
   * Called once for each sampled token, in order; true ends the turn after that token. Must not
   * throw.
   */
  shouldStop(id: number, logprob: number, top: readonly TopToken[]): boolean;
}

/** N = the turn's sampled tokens, the last one included, whatever it is. */
export interface SampledTurn {
  readonly ids_N: Int32Array;
  readonly logprobs_N: Float32Array; // under temperature, of the whole vocabulary
  readonly entropies_N: Float32Array;
  readonly stopped: boolean; // false: maxTokens was reached
  readonly policyVersion: number;
}

/**
 * What the engine itself saw of a sequence, to be compared with what is trained. L = all its
 * tokens.
 */
export interface Transcript {
  readonly tokens_L: Int32Array;
  readonly sampled_L: Uint8Array; // 1 where the engine sampled the token
}

export interface EngineSequence {
  /** Samples a turn after all that came before. One at a time. */
  generate(sampling: Sampling): Promise<SampledTurn>;
  /** Adds tokens that nobody samples (an observation); they are computed with the next turn. */
  append(tokens: ArrayLike<number>): void;
  transcript(): Transcript;
  /** Gives back what the sequence holds. Safe to call twice. */
  [Symbol.dispose](): void;
}

export interface RolloutEngine {
  readonly policyVersion: number;
  /**
   * `maxNewTokens`: all tokens that may follow the prompt, sampled or appended. It may have to wait
   * its turn for memory.
   */
  open(prompt: PromptRuns, maxNewTokens: number): EngineSequence;
  counters(): EngineCounters;
  /**
   * Computes all prompts anew from here on, while no sequence is open: what follows then does not
   * depend, by rounding, on which ones were sampled from before.
   */
  forget(): void;
}

/** Sums since the engine was opened. */
export interface EngineCounters {
  readonly steps: number; // forwards
  /** Computed beyond one for each sampled token: prompts and observations. */
  readonly prefillTokens: number;
  readonly decodeTokens: number; // sampled
  readonly prefillMs: number; // of the forwards, shared out by computed tokens
  readonly decodeMs: number;
  readonly overheadMs: number; // the engine's own work between forwards
}
export const NO_COUNTERS: EngineCounters = {
  steps: 0,
  prefillTokens: 0,
  decodeTokens: 0,
  prefillMs: 0,
  decodeMs: 0,
  overheadMs: 0,
};

export function countersBetween(before: EngineCounters, after: EngineCounters): EngineCounters {
  return {
    steps: after.steps - before.steps,
    prefillTokens: after.prefillTokens - before.prefillTokens,
    decodeTokens: after.decodeTokens - before.decodeTokens,
    prefillMs: after.prefillMs - before.prefillMs,
    decodeMs: after.decodeMs - before.decodeMs,
    overheadMs: after.overheadMs - before.overheadMs,
  };
}
