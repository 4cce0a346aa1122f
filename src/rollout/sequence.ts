// One sequence of the in-process engine: its own tokens after the shared prompt, what was sampled,
// and the turn in progress. The own run starts with what of the prompt is not shared: at least its
// last token, whose hidden state sampling needs. Not here: pages (blocks.ts), and when it joins a
// step (in-process.ts).

import type { PrefixNode } from "./blocks.ts";
import type { Sampling, SampledTurn, Transcript } from "./engine.ts";
import type { TopToken } from "./top-tokens.ts";
import { lineage } from "./blocks.ts";

interface Turn {
  readonly sampling: Sampling;
  readonly start: number; // index of its first token in the own run
  stopped: boolean;
  readonly done: PromiseWithResolvers<SampledTurn>;
}

export class Sequence {
  readonly position: number; // of the own run's first token
  readonly maxTokens: number; // of the own run
  pages: Int32Array | null = null; // null until admitted
  cached = 0; // own tokens that were computed
  length: number; // own tokens
  turn: Turn | null = null;
  closed = false;
  tokens: Int32Array; // the own run
  private sampled: Uint8Array;
  private logprobs: Float32Array;
  private entropies: Float32Array;

  constructor(
    readonly node: PrefixNode<Sequence>,
    ownPrompt: Int32Array,
    maxNewTokens: number,
  ) {
    this.position = node.end;
    this.length = ownPrompt.length;
    this.maxTokens = ownPrompt.length + maxNewTokens;
    const capacity = ownPrompt.length + Math.min(maxNewTokens, 128);
    this.tokens = new Int32Array(capacity);
    this.sampled = new Uint8Array(capacity);
    this.logprobs = new Float32Array(capacity);
    this.entropies = new Float32Array(capacity);
    this.tokens.set(ownPrompt);
  }

  begin(sampling: Sampling): Promise<SampledTurn> {
    if (this.closed) throw new Error("the sequence is closed");
    if (this.turn !== null) throw new Error("the sequence is already sampling");
    if (sampling.maxTokens < 1) throw new RangeError("a turn has at least one token");
    this.reserve(sampling.maxTokens);
    this.turn = { sampling, start: this.length, stopped: false, done: Promise.withResolvers() };
    return this.turn.done.promise;
  }

  append(tokens: ArrayLike<number>): void {
    if (this.closed || this.turn !== null) throw new Error("tokens are appended between turns");
    this.reserve(tokens.length);
    this.tokens.set(tokens, this.length);
    this.length += tokens.length;
  }

  /** Takes a sampled token. True when it ends the turn: `finish` is next. */
  accept(id: number, logprob: number, entropy: number, top: readonly TopToken[]): boolean {
    const turn = this.turn!;
    const at = this.length++;
    this.tokens[at] = id;
    this.sampled[at] = 1;
    this.logprobs[at] = logprob;
    this.entropies[at] = entropy;
    turn.stopped = turn.sampling.shouldStop(id, logprob, top);
    return turn.stopped || this.length - turn.start === turn.sampling.maxTokens;
  }

  finish(policyVersion: number): void {
    const { start, stopped, done } = this.turn!;
    this.turn = null;
    done.resolve({
      ids_N: this.tokens.slice(start, this.length),
      logprobs_N: this.logprobs.slice(start, this.length),
      entropies_N: this.entropies.slice(start, this.length),
      stopped,
      policyVersion,
    });
  }

  fail(error: unknown): void {
    this.turn?.done.reject(error);
    this.turn = null;
  }

  transcript(): Transcript {
    const tokens_L = new Int32Array(this.position + this.length);
    const sampled_L = new Uint8Array(tokens_L.length);
    for (const { tokens, start } of lineage(this.node)) tokens_L.set(tokens, start);
    tokens_L.set(this.tokens.subarray(0, this.length), this.position);
    sampled_L.set(this.sampled.subarray(0, this.length), this.position);
    return { tokens_L, sampled_L };
  }

  private reserve(extra: number): void {
    const wanted = this.length + extra;
    if (wanted > this.maxTokens)
      throw new RangeError(`${wanted} tokens in a sequence opened for ${this.maxTokens}`);
    if (wanted <= this.tokens.length) return;
    const capacity = Math.min(this.maxTokens, Math.max(wanted, 2 * this.tokens.length));
    this.tokens = enlarged(this.tokens, new Int32Array(capacity));
    this.sampled = enlarged(this.sampled, new Uint8Array(capacity));
    this.logprobs = enlarged(this.logprobs, new Float32Array(capacity));
    this.entropies = enlarged(this.entropies, new Float32Array(capacity));
  }
}

function enlarged<A extends Int32Array | Uint8Array | Float32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
