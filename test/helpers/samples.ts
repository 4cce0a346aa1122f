// Scored rollouts made by hand: two prompt tokens, then the sampled ones, each turn its own token where there are calls.

import { Role, type Sample, type ToolCall } from "../../src/types.ts";

export interface SampleSpec {
  readonly groupId?: string;
  readonly sample?: number;
  readonly total?: number;
  readonly em?: number;
  readonly hops?: number;
  readonly calls?: readonly ToolCall[];
  readonly entropies?: readonly number[];
}

export function sampleOf(spec: SampleSpec): Sample {
  const {
    groupId = "g",
    sample = 0,
    total = 0,
    em = 0,
    hops = 1,
    calls = [],
    entropies = [0],
  } = spec;
  const length = 2 + entropies.length;
  const roles_L = new Uint8Array(length).fill(Role.policy, 2);
  const at = { policyStart: 2, policyEnd: length, observationEnd: length, toolCalls: [] };
  return {
    rollout: {
      groupId,
      sample,
      task: { id: "t", question: "q?", golds: ["a"], meta: { hops } },
      tokens_L: new Int32Array(length),
      roles_L,
      samplerLogprobs_L: new Float32Array(length),
      samplerEntropies_L: Float32Array.from([0, 0, ...entropies]),
      policyVersions_L: new Int32Array(length),
      promptTokens: 2,
      turns: [...calls.map((call) => ({ ...at, toolCalls: [call] })), at],
      finish: "answer",
      responseText: "",
      policyText: "",
    },
    reward: { total, components: { em, valid_format: 0 } },
  };
}
