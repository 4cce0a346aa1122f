// A rollout as the text that is scored.

import type { Rollout, ToolCall } from "../types.ts";
import type { ScoredText } from "./score.ts";

export function textOfRollout(rollout: Rollout, prompt: string): ScoredText {
  const { task, responseText: response, policyText } = rollout;
  const { id, question, golds, tests, meta } = task;
  const toolCalls = rollout.turns.flatMap((turn) => turn.toolCalls);
  const executionFailed = hasFailed(toolCalls.at(-1));
  return {
    prompt,
    response,
    policyText,
    golds,
    id,
    question,
    tests,
    meta,
    toolCalls,
    executionFailed,
  };
}

/** By the policy's doing: a tool that broke down or is not there is none of its. */
function hasFailed(call: ToolCall | undefined): boolean {
  if (call === undefined) return false;
  const { result } = call;
  if (result.ok) return result.executionFailed ?? false;
  return result.reason === "timeout" || result.reason === "invalid_call";
}
