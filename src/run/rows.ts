// Rollouts to rows of run.sqlite and back, without loss. No SQL here. L = tokens of the whole
// rollout. The prompt is kept apart, once for all rollouts that share it; its roles, logprobs,
// entropies and versions are constants.

import { Role } from "../types.ts";
import type { FinishReason, Rollout, Task, ToolCall, ToolFailure, Turn } from "../types.ts";

export interface RolloutRow {
  readonly group_id: string;
  readonly sample: number;
  readonly task: string;
  readonly tokens: Uint8Array;
  readonly roles: Uint8Array;
  readonly logprobs: Uint8Array;
  readonly entropies: Uint8Array;
  readonly versions: Uint8Array;
  readonly turns: string;
  readonly finish: string;
  readonly response_text: string;
  readonly policy_text: string;
}
export interface ToolCallRow {
  readonly turn: number;
  readonly call: number; // within the turn
  readonly tool: string;
  readonly input: string;
  readonly ok: number;
  readonly reason: string | null;
  readonly text: string;
  readonly detail: string | null;
  readonly latency_ms: number;
  readonly attempts: number;
}

type Flat = Int32Array | Float32Array | Uint8Array;

/** The bytes of a typed array, as a view. */
export function bytesOf(array: Flat): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

export function rolloutRow(rollout: Rollout): RolloutRow {
  requirePromptConstants(rollout);
  const response = <T extends Flat>(array_L: T): Uint8Array =>
    bytesOf(array_L.subarray(rollout.promptTokens));
  return {
    group_id: rollout.groupId,
    sample: rollout.sample,
    task: JSON.stringify(rollout.task),
    tokens: response(rollout.tokens_L),
    roles: response(rollout.roles_L),
    logprobs: response(rollout.samplerLogprobs_L),
    entropies: response(rollout.samplerEntropies_L),
    versions: response(rollout.policyVersions_L),
    turns: JSON.stringify(
      rollout.turns.map((turn) => [turn.policyStart, turn.policyEnd, turn.observationEnd]),
    ),
    finish: rollout.finish,
    response_text: rollout.responseText,
    policy_text: rollout.policyText,
  };
}

/**
 * A prompt token that the policy sampled, or parallel arrays of other lengths, would be lost on the
 * way: our bug.
 */
function requirePromptConstants(rollout: Rollout): void {
  const {
    tokens_L,
    roles_L,
    samplerLogprobs_L,
    samplerEntropies_L,
    policyVersions_L,
    promptTokens,
  } = rollout;
  const lengths = [roles_L, samplerLogprobs_L, samplerEntropies_L, policyVersions_L].map(
    (array) => array.length,
  );
  if (lengths.some((length) => length !== tokens_L.length)) {
    throw new Error(`rollout ${rollout.groupId}: ${tokens_L.length} tokens, arrays of ${lengths}`);
  }
  if (roles_L.subarray(0, promptTokens).some((role) => role !== Role.prompt)) {
    throw new Error(
      `rollout ${rollout.groupId}/${rollout.sample}: a prompt token has another role`,
    );
  }
}

export function toolCallRows(rollout: Rollout): ToolCallRow[] {
  return rollout.turns.flatMap(({ toolCalls }, turn) =>
    toolCalls.map((each, call) => toolCallRow(each, turn, call)),
  );
}

function toolCallRow(of: ToolCall, turn: number, call: number): ToolCallRow {
  const { tool, input, result, latencyMs, attempts } = of;
  const failure = result.ok
    ? { reason: null, detail: null }
    : { reason: result.reason, detail: result.detail };
  return {
    turn,
    call,
    tool,
    input,
    ok: Number(result.ok),
    ...failure,
    text: result.text,
    latency_ms: latencyMs,
    attempts,
  };
}

export function rolloutOfRow(
  row: RolloutRow,
  promptTokens: Uint8Array,
  calls: readonly ToolCallRow[], // in order
): Rollout {
  const prompt = new Int32Array(aligned(promptTokens));
  const numTokens = prompt.length + row.roles.length;
  return {
    groupId: row.group_id,
    sample: row.sample,
    task: JSON.parse(row.task) as Task,
    tokens_L: joined(new Int32Array(numTokens), prompt, new Int32Array(aligned(row.tokens))),
    roles_L: joined(new Uint8Array(numTokens), prompt.length, row.roles),
    samplerLogprobs_L: joined(
      new Float32Array(numTokens),
      prompt.length,
      new Float32Array(aligned(row.logprobs)),
    ),
    samplerEntropies_L: joined(
      new Float32Array(numTokens),
      prompt.length,
      new Float32Array(aligned(row.entropies)),
    ),
    policyVersions_L: joined(
      new Int32Array(numTokens).fill(-1),
      prompt.length,
      new Int32Array(aligned(row.versions)),
    ),
    promptTokens: prompt.length,
    turns: turnsOf(row.turns, calls),
    finish: row.finish as FinishReason,
    responseText: row.response_text,
    policyText: row.policy_text,
  };
}

/** SQLite's blobs may start at any byte; typed arrays may not. */
function aligned(blob: Uint8Array): ArrayBuffer {
  return new Uint8Array(blob).buffer;
}

/** `head` (or that many of the array's own first entries), then `tail`. */
function joined<T extends Flat>(into: T, head: Int32Array | number, tail: T): T {
  if (typeof head !== "number") into.set(head, 0);
  into.set(tail, typeof head === "number" ? head : head.length);
  return into;
}

function turnsOf(json: string, calls: readonly ToolCallRow[]): Turn[] {
  const offsets = JSON.parse(json) as [number, number, number][];
  return offsets.map(([policyStart, policyEnd, observationEnd], index) => {
    const toolCalls = calls.filter(({ turn }) => turn === index).map(toolCallOf);
    return { policyStart, policyEnd, observationEnd, toolCalls };
  });
}

function toolCallOf(row: ToolCallRow): ToolCall {
  const { tool, input, text, attempts } = row;
  const result = row.ok
    ? { ok: true as const, text }
    : { ok: false as const, reason: row.reason as ToolFailure, text, detail: row.detail ?? "" };
  return { tool, input, result, latencyMs: row.latency_ms, attempts };
}
