// What a tool is, and one call of it: a deadline for each attempt, retries with backoff, and a
// result that is always data. A tool that fails, hangs or throws becomes a typed failure with a
// text for the policy to read; nothing here throws. Not here: which tool a call names and how many
// run at once (toolbox.ts), how an observation is wrapped in tags (rollout/observation.ts).

import type { ToolCall, ToolFailure, ToolResult } from "../types.ts";
import type { Breaker, Outcome } from "./breaker.ts";

/** What the policy is told of a tool. */
export interface ToolSpec {
  /** One sentence. */
  readonly description: string;
  /** JSON schema of an object. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The parameter that a bare text is; absent: the input is the text of a JSON object. */
  readonly textParameter?: string;
}

/** An observation's text; of a tool that runs code, also whether the code ended in an error. */
export type ToolAnswer = string | { readonly text: string; readonly executionFailed: boolean };

/**
 * A tool takes the text of a call and gives the text of an observation. It should give up when
 * `signal` aborts.
 */
export interface Tool {
  readonly name: string;
  readonly spec: ToolSpec;
  call(input: string, signal: AbortSignal): ToolAnswer | Promise<ToolAnswer>;
  /** Ends processes and connections. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** The spec of a tool that takes one text. */
export function textSpec(description: string, parameter: string, what: string): ToolSpec {
  const properties = { [parameter]: { type: "string", description: what } };
  const parameters = { type: "object", properties, required: [parameter] };
  return { description, parameters, textParameter: parameter };
}

/**
 * Thrown by a tool when the call itself is wrong, so that trying again is pointless. Its message is
 * for the policy.
 */
export class InvalidCallError extends Error {
  override readonly name = "InvalidCallError";
}

/** Thrown by a tool that says when to try again. */
export class TryLaterError extends Error {
  override readonly name = "TryLaterError";

  constructor(
    message: string,
    readonly waitMs: number,
  ) {
    super(message);
  }
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

export interface CallSurroundings {
  readonly clock: Clock;
  /** What a pause is multiplied by, so that calls that failed together do not return together. */
  readonly jitter: () => number;
  /** Absent: every attempt is made. */
  readonly breaker?: Breaker;
}
const PLAIN: CallSurroundings = { clock: systemClock, jitter: () => 1 };

/** A tool that asks for a longer pause than this is not asked again in the same call. */
const MAX_PAUSE_MS = 60_000;

/**
 * Calls `tool`, retrying what may pass, within `policy`. Never throws. A tool that answers at once
 * costs no timer.
 */
export async function callTool(
  tool: Tool,
  input: string,
  policy: CallPolicy,
  around: CallSurroundings = PLAIN,
): Promise<ToolCall> {
  const { clock, jitter } = around;
  const start = clock.now();
  for (let attempts = 1; ; attempts++) {
    const { result, waitMs = 0 } = await admittedAttempt(tool, input, policy.deadlineMs, around);
    const mayPass = !result.ok && (result.reason === "error" || result.reason === "timeout");
    if (!mayPass || attempts > policy.retries || waitMs > MAX_PAUSE_MS) {
      return { tool: tool.name, input, result, latencyMs: clock.now() - start, attempts };
    }
    const backoffMs = policy.backoffMs * 2 ** (attempts - 1) * jitter();
    await pause(Math.max(backoffMs, waitMs), clock);
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

interface Attempt {
  readonly result: ToolResult;
  /** What the tool asked for before the next one. */
  readonly waitMs?: number;
}

async function admittedAttempt(
  tool: Tool,
  input: string,
  deadlineMs: number,
  { clock, breaker }: CallSurroundings,
): Promise<Attempt> {
  const admission = breaker === undefined ? "pass" : breaker.admit(clock.now());
  if (admission === undefined) {
    return { result: failure(tool.name, "unavailable", "not asked after too many failures") };
  }
  const made = await attempt(tool, input, deadlineMs, clock);
  breaker?.report(admission, outcomeOf(made.result), clock.now());
  return made;
}

function outcomeOf(result: ToolResult): Outcome {
  if (result.ok) return "worked";
  return result.reason === "error" || result.reason === "timeout" ? "failed" : "unknown";
}

async function attempt(
  tool: Tool,
  input: string,
  deadlineMs: number,
  clock: Clock,
): Promise<Attempt> {
  const abort = new AbortController();
  try {
    const answer = tool.call(input, abort.signal);
    if (!(answer instanceof Promise)) return { result: answered(answer) };
    return await beforeDeadline(tool.name, answer, deadlineMs, clock, abort);
  } catch (error) {
    return failed(tool.name, error);
  }
}

/** The answer, or a timeout that also aborts the attempt. A late answer or rejection is dropped. */
async function beforeDeadline(
  name: string,
  answer: Promise<ToolAnswer>,
  deadlineMs: number,
  clock: Clock,
  abort: AbortController,
): Promise<Attempt> {
  const settled = answer.then(
    (given): Attempt => ({ result: answered(given) }),
    (error: unknown) => failed(name, error),
  );
  const late = Promise.withResolvers<Attempt>();
  const cancel = clock.schedule(deadlineMs, () => {
    late.resolve({ result: failure(name, "timeout", `no answer within ${deadlineMs} ms`) });
    abort.abort();
  });
  const made = await Promise.race([late.promise, settled]);
  cancel();
  return made;
}

function answered(answer: ToolAnswer): ToolResult {
  return typeof answer === "string" ? { ok: true, text: answer } : { ok: true, ...answer };
}

function failed(name: string, error: unknown): Attempt {
  const detail = error instanceof Error ? error.message : String(error);
  const reason = error instanceof InvalidCallError ? "invalid_call" : "error";
  const result = failure(name, reason, detail);
  return error instanceof TryLaterError ? { result, waitMs: error.waitMs } : { result };
}

/**
 * What the policy reads is short and has no stack, path or address; `detail` keeps the cause for
 * people.
 */
function failure(name: string, reason: ToolFailure, detail: string): ToolResult {
  return { ok: false, reason, text: POLICY_TEXTS[reason](name, detail), detail };
}

/** All that a policy ever reads of a failed call. */
export const POLICY_TEXTS: Readonly<Record<ToolFailure, (name: string, detail: string) => string>> =
  {
    timeout: (name) => `Error: ${name} took too long.`,
    error: (name) => `Error: ${name} failed.`,
    invalid_call: (_name, detail) => `Error: ${detail}`,
    unknown_tool: (name) => `Error: there is no tool named ${name}.`,
    unavailable: (name) => `Error: ${name} is not available now.`,
  };

function pause(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.schedule(ms, resolve));
}
