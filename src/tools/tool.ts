// What a tool is, and one call of it: a deadline for each attempt, retries with backoff, and a
// result that is always data. A tool that fails, hangs or throws becomes a typed failure with a
// text for the policy to read; nothing here throws. Not here: which tool a call names, and how an
// observation is wrapped in tags (rollout/observation.ts).

import type { ToolCall, ToolFailure, ToolResult } from "../types.ts";

/**
 * A tool takes the text of a call and gives the text of an observation. It should give up when
 * `signal` aborts.
 */
export interface Tool {
  readonly name: string;
  call(input: string, signal: AbortSignal): string | Promise<string>;
}

/**
 * Thrown by a tool when the call itself is wrong, so that trying again is pointless. Its message is
 * for the policy.
 */
export class InvalidCallError extends Error {
  override readonly name = "InvalidCallError";
}

export interface CallPolicy {
  readonly deadlineMs: number; // of one attempt
  readonly retries: number; // attempts after the first
  readonly backoffMs: number; // before the first retry; doubles with each
}

/** Time as the caller sees it, so that a test needs no waiting. */
export interface Clock {
  now(): number; // ms
  /** Runs `action` after `ms`; the result cancels it. */
  schedule(ms: number, action: () => void): () => void;
}
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Calls `tool`, retrying what may pass, within `policy`. Never throws. A tool that answers at once
 * costs no timer.
 */
export async function callTool(
  tool: Tool,
  input: string,
  policy: CallPolicy,
  clock: Clock = systemClock,
): Promise<ToolCall> {
  const start = clock.now();
  for (let attempts = 1; ; attempts++) {
    const result = await attempt(tool, input, policy.deadlineMs, clock);
    const done = result.ok || result.reason === "invalid_call" || attempts > policy.retries;
    if (done) return { tool: tool.name, input, result, latencyMs: clock.now() - start, attempts };
    await pause(policy.backoffMs * 2 ** (attempts - 1), clock);
  }
}

/** The result of a call that no tool could take: unknown tool, or a call that can't be read. */
export function refusedCall(
  tool: string,
  input: string,
  reason: ToolFailure,
  detail: string,
): ToolCall {
  return { tool, input, result: failure(tool, reason, detail), latencyMs: 0, attempts: 0 };
}

async function attempt(
  tool: Tool,
  input: string,
  deadlineMs: number,
  clock: Clock,
): Promise<ToolResult> {
  const abort = new AbortController();
  try {
    const answer = tool.call(input, abort.signal);
    if (typeof answer === "string") return { ok: true, text: answer };
    return await beforeDeadline(tool.name, answer, deadlineMs, clock, abort);
  } catch (error) {
    return failed(tool.name, error);
  }
}

/** The answer, or a timeout that also aborts the attempt. A late answer or rejection is dropped. */
async function beforeDeadline(
  name: string,
  answer: Promise<string>,
  deadlineMs: number,
  clock: Clock,
  abort: AbortController,
): Promise<ToolResult> {
  const settled = answer.then(
    (text): ToolResult => ({ ok: true, text }),
    (error: unknown) => failed(name, error),
  );
  const late = Promise.withResolvers<ToolResult>();
  const cancel = clock.schedule(deadlineMs, () => {
    late.resolve(failure(name, "timeout", `no answer within ${deadlineMs} ms`));
    abort.abort();
  });
  const result = await Promise.race([late.promise, settled]);
  cancel();
  return result;
}

function failed(name: string, error: unknown): ToolResult {
  const detail = error instanceof Error ? error.message : String(error);
  return failure(name, error instanceof InvalidCallError ? "invalid_call" : "error", detail);
}

/**
 * What the policy reads is short and has no stack, path or address; `detail` keeps the cause for
 * people.
 */
function failure(name: string, reason: ToolFailure, detail: string): ToolResult {
  return { ok: false, reason, text: policyText(name, reason, detail), detail };
}

function policyText(name: string, reason: ToolFailure, detail: string): string {
  switch (reason) {
    case "timeout":
      return `Error: ${name} took too long.`;
    case "error":
      return `Error: ${name} failed.`;
    case "invalid_call":
      return `Error: ${detail}`;
    case "unknown_tool":
      return `Error: there is no tool named ${name}.`;
    case "unavailable":
      return `Error: ${name} is not available now.`;
  }
}

function pause(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.schedule(ms, resolve));
}
