// The glossary of icrl as types. Data only: no behaviour, no imports. Everything here is a readonly record.

/** Who wrote a token. Only `policy` tokens are ever trained. */
export const Role = { prompt: 0, policy: 1, observation: 2 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/**
 * Tests of code that answers a task. `humaneval`: `test` defines `check(candidate)`, the function `entryPoint` is its
 * candidate, and the answer may be a completion of `prompt`. `mbpp`: one assertion a test, each run after `setup`.
 */
export type CodeTests =
  | { readonly kind: "humaneval"; readonly prompt: string; readonly test: string; readonly entryPoint: string }
  | { readonly kind: "mbpp"; readonly setup: string; readonly asserts: readonly string[] };

/** One question with its accepted answers. `meta` is the source's own (hops, split, ...). */
export interface Task {
  readonly id: string;
  readonly question: string;
  readonly golds: readonly string[];
  /** Of tasks that are answered with code. */
  readonly tests?: CodeTests;
  readonly meta: Readonly<Record<string, string | number>>;
}

/** A worked example of tool use, shown in the prompt. `toolCall` and `observation` are absent in the turn that answers. */
export interface DemonstrationTurn {
  readonly think: string;
  /** Name of the tool that is called; absent: the recipe's first tool. */
  readonly tool?: string;
  readonly toolCall?: string;
  readonly observation?: string;
}
export interface Demonstration {
  readonly id: string;
  readonly question: string;
  readonly turns: readonly DemonstrationTurn[];
  readonly answer: string;
}

/** Why a tool call gave no result. */
export type ToolFailure = "timeout" | "error" | "invalid_call" | "unknown_tool" | "unavailable";
/** `text` is what the policy reads, also when the call failed. `executionFailed`: code ran, and ended in an error. */
export type ToolResult =
  | { readonly ok: true; readonly text: string; readonly executionFailed?: boolean }
  | { readonly ok: false; readonly reason: ToolFailure; readonly text: string; readonly detail: string };
export interface ToolCall {
  readonly tool: string;
  readonly input: string;
  readonly result: ToolResult;
  readonly latencyMs: number;
  readonly attempts: number;
}

/** One stretch of policy tokens and, when it called tools, the observation after it. Offsets into `Rollout.tokens`. */
export interface Turn {
  readonly policyStart: number;
  readonly policyEnd: number;
  readonly observationEnd: number; // = policyEnd without a tool call
  /** In the order of the text, answered by one observation; several where the tag profile allows it. */
  readonly toolCalls: readonly ToolCall[];
}

/**
 * Why a rollout ended. `answer`: gave its answer as the tag profile says; `eos`: sampled an end token without one;
 * `stop_text`: sampled a stop text; the rest are limits that were reached.
 */
export type FinishReason = "answer" | "eos" | "stop_text" | "max_turns" | "max_turn_tokens" | "max_new_tokens" | "context";

/** The reward of one rollout, by component. `total` is what the advantage sees. */
export interface Reward {
  readonly total: number;
  readonly components: Readonly<Record<string, number>>;
}

/**
 * One multi-turn sample of the policy, token-in token-out. L = all tokens of the rollout, prompt included.
 * `samplerLogprobs_L` is 0 where the role is not `policy`.
 */
export interface Rollout {
  readonly groupId: string;
  readonly sample: number;
  readonly task: Task;
  readonly tokens_L: Int32Array;
  readonly roles_L: Uint8Array;
  readonly samplerLogprobs_L: Float32Array;
  readonly samplerEntropies_L: Float32Array;
  readonly policyVersions_L: Int32Array; // the version that sampled the token; -1 where the role is not `policy`
  readonly promptTokens: number;
  readonly turns: readonly Turn[];
  readonly finish: FinishReason;
  readonly responseText: string; // policy and observation text after the prompt, for tools, rewards and people
  readonly policyText: string; // the policy's own text only
}
/** A rollout with its reward. */
export interface Sample {
  readonly rollout: Rollout;
  readonly reward: Reward;
}
/** All samples of one prompt in one step. `id` is unique within a run: `${step}:${taskId}` and the like. */
export interface Group {
  readonly id: string;
  readonly task: Task;
  readonly samples: readonly Sample[];
}
