// A rollout engine that plays given tokens instead of sampling: a second implementation of the
// interface, for tests of what rollouts do with tokens. It keeps its own transcript. The engine
// itself is tested with a real policy.

import type {
  EngineSequence,
  PromptRuns,
  RolloutEngine,
  SampledTurn,
  Sampling,
  Transcript,
} from "../../src/rollout/engine.ts";
import { NO_COUNTERS } from "../../src/rollout/engine.ts";

/** The ids that a sample would produce if nothing stopped it. A turn takes as many as it needs. */
export type Script = (group: number, sample: number) => readonly number[];

export class ScriptedEngine implements RolloutEngine {
  readonly policyVersion = 7;
  readonly openSequences = new Set<ScriptedSequence>();

  constructor(readonly script: Script) {}

  open(prompt: PromptRuns, maxNewTokens: number): EngineSequence {
    const sequence = new ScriptedSequence(this, prompt, maxNewTokens);
    this.openSequences.add(sequence);
    return sequence;
  }

  counters() {
    return NO_COUNTERS;
  }

  forget(): void {} // it computes nothing
}

class ScriptedSequence implements EngineSequence {
  private readonly tokens: number[];
  private readonly sampled: number[];
  private readonly limit: number;
  private played = 0;

  constructor(
    private readonly engine: ScriptedEngine,
    prompt: PromptRuns,
    maxNewTokens: number,
  ) {
    this.tokens = prompt.flatMap((run) => [...run]);
    this.sampled = this.tokens.map(() => 0);
    this.limit = this.tokens.length + maxNewTokens;
  }

  async generate(sampling: Sampling): Promise<SampledTurn> {
    if (this.tokens.length + sampling.maxTokens > this.limit)
      throw new RangeError("over the limit");
    const script = this.engine.script(sampling.group, sampling.sample);
    const ids: number[] = [];
    let stopped = false;
    while (!stopped && ids.length < sampling.maxTokens) {
      const id = script[this.played++];
      if (id === undefined) throw new Error("the script is over, and the rollout goes on");
      ids.push(id);
      stopped = sampling.shouldStop(id, -0.5, []);
    }
    this.add(ids, 1);
    return {
      ids_N: Int32Array.from(ids),
      logprobs_N: Float32Array.from(ids, () => -0.5),
      entropies_N: Float32Array.from(ids, () => 0.25),
      stopped,
      policyVersion: this.engine.policyVersion,
    };
  }

  append(tokens: ArrayLike<number>): void {
    this.add(Array.from(tokens), 0);
  }

  transcript(): Transcript {
    const { tokens, sampled } = this;
    return { tokens_L: Int32Array.from(tokens), sampled_L: Uint8Array.from(sampled) };
  }

  [Symbol.dispose](): void {
    this.engine.openSequences.delete(this);
  }

  private add(ids: readonly number[], sampled: number): void {
    this.tokens.push(...ids);
    this.sampled.push(...ids.map(() => sampled));
    if (this.tokens.length > this.limit) throw new RangeError("over the limit");
  }
}
