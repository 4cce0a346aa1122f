// A rollout while it grows: token runs by role with what the sampler said of them, turns, and text.
// Not here: deciding anything.

import type { FinishReason, Rollout, ToolCall, Turn } from "../types.ts";
import type { SampledTurn, Transcript } from "./engine.ts";
import type { Observation } from "./observation-layout.ts";
import type { RolloutRequest } from "./rollout.ts";
import { Role } from "../types.ts";

/** Neighbouring tokens of one role. */
interface Run {
  readonly start: number;
  readonly role: Role;
  readonly tokens: ArrayLike<number>;
  readonly sampled?: SampledTurn;
}

export class RolloutDraft {
  length = 0;
  numSampled = 0;
  numCalls = 0;
  private readonly promptTokens: number;
  private readonly runs: Run[] = [];
  private readonly turns: Turn[] = [];
  private policyText = "";
  private responseText = "";

  constructor(private readonly request: RolloutRequest) {
    for (const tokens of request.prompt.runs) this.addRun(Role.prompt, tokens);
    this.promptTokens = this.length;
  }

  addTurn(sampled: SampledTurn, text: string): void {
    const policyStart = this.length;
    this.addRun(Role.policy, sampled.ids_N, sampled);
    this.numSampled += sampled.ids_N.length;
    const end = this.length;
    this.turns.push({ policyStart, policyEnd: end, observationEnd: end, toolCalls: [] });
    this.policyText += text;
    this.responseText += text;
  }

  /** The calls that the last turn made, and their observation where that had room. */
  addCalls(toolCalls: readonly ToolCall[], observation: Observation | undefined): void {
    this.numCalls += toolCalls.length;
    if (observation !== undefined) this.addRun(Role.observation, observation.tokens);
    this.responseText += observation?.text ?? "";
    this.turns.push({ ...this.turns.pop()!, observationEnd: this.length, toolCalls });
  }

  finish(finish: FinishReason): Rollout {
    const { groupId, sample, task } = this.request;
    const { promptTokens, turns, policyText, responseText } = this;
    return {
      groupId,
      sample,
      task,
      ...this.arrays(),
      promptTokens,
      turns,
      finish,
      policyText,
      responseText,
    };
  }

  /** The account of a rollout that was over before an engine saw it. */
  promptTranscript(): Transcript {
    return { tokens_L: this.arrays().tokens_L, sampled_L: new Uint8Array(this.length) };
  }

  private addRun(role: Role, tokens: ArrayLike<number>, sampled?: SampledTurn): void {
    this.runs.push({ start: this.length, role, tokens, ...(sampled && { sampled }) });
    this.length += tokens.length;
  }

  private arrays() {
    const tokens_L = new Int32Array(this.length);
    const roles_L = new Uint8Array(this.length);
    const samplerLogprobs_L = new Float32Array(this.length);
    const samplerEntropies_L = new Float32Array(this.length);
    const policyVersions_L = new Int32Array(this.length).fill(-1);
    for (const { start, role, tokens, sampled } of this.runs) {
      const end = start + tokens.length;
      tokens_L.set(tokens, start);
      roles_L.fill(role, start, end);
      if (sampled === undefined) continue;
      samplerLogprobs_L.set(sampled.logprobs_N, start);
      samplerEntropies_L.set(sampled.entropies_N, start);
      policyVersions_L.fill(sampled.policyVersion, start, end);
    }
    return { tokens_L, roles_L, samplerLogprobs_L, samplerEntropies_L, policyVersions_L };
  }
}
