// The reward of one rollout from its texts: a pure function of a profile, with every component
// kept. Only what the policy wrote itself can earn accuracy; a tool's output never does. Not here:
// running code or a user's file (scorer.ts).

import type { TermName } from "../config/reward-recipe.ts";
import type { CodeTests, Reward, Task, ToolCall } from "../types.ts";
import { type Accuracy, textAccuracy } from "./accuracy.ts";
import { finalAnswer } from "./answer.ts";
import { chargedPenalties, formatScore, isValidFormat } from "./format.ts";
import type { RewardProfile } from "./profiles.ts";
import { isValidSequence } from "./sequence.ts";
import type { TagProfile } from "./tags.ts";

export interface ScoredText {
  readonly prompt: string;
  readonly response: string; // policy and observation text
  readonly policyText: string; // the policy's own part of the response
  readonly golds: readonly string[];
  /** The code of the last tool call failed; absent: it did not, or there was none. */
  readonly executionFailed?: boolean | undefined;
  /** What code or a reward file may want to know beside. */
  readonly id?: string | undefined;
  readonly question?: string | undefined;
  readonly tests?: CodeTests | undefined;
  readonly meta?: Task["meta"] | undefined;
  readonly toolCalls?: readonly ToolCall[] | undefined;
}

const WRONG: Accuracy = { value: 0, isRight: false };

/** Without an answer, and where only running it would tell, it is wrong. */
export function accuracyOf(profile: RewardProfile, tags: TagProfile, text: ScoredText): Accuracy {
  const answer = finalAnswer(profile.answer, tags, text.policyText);
  if (answer === undefined || profile.accuracy === "tests") return WRONG;
  return textAccuracy(profile.accuracy, answer, text.golds);
}

/**
 * Components: `em` (0 or 1: right in full), `format` (0..1), `valid_format` (0 or 1), and each
 * penalty under its fault's name, as charged (0 where the fault is absent). Where accuracy is
 * graded also `accuracy` (0..1), and every other term that has a weight under its own name.
 */
export function scoreRollout(
  profile: RewardProfile,
  tags: TagProfile,
  text: ScoredText,
  accuracy: Accuracy = accuracyOf(profile, tags, text),
): Reward {
  const judged = profile.formatScope === "policy" ? text.policyText : text.prompt + text.response;
  const charged = chargedPenalties(tags, profile.penalties, judged);
  const terms = termsOf(profile, tags, text, accuracy.value, formatScore(charged));
  const paid = Object.entries(profile.weights) as [TermName, number][];
  const isGraded = profile.accuracy === "f1" || profile.accuracy === "tests";
  const named = paid.filter(([name]) => name !== "accuracy").map(([name]) => [name, terms[name]]);
  return {
    total: paid.reduce((sum, [name, weight]) => sum + weight * terms[name], 0),
    components: {
      em: Number(accuracy.isRight),
      ...(isGraded && { accuracy: accuracy.value }),
      format: terms.format,
      valid_format: terms.valid_format,
      ...(Object.fromEntries(named) as Record<string, number>),
      ...charged,
    },
  };
}

function termsOf(
  { answer }: RewardProfile,
  tags: TagProfile,
  { policyText, response, executionFailed = false }: ScoredText,
  accuracy: number,
  format: number,
): Readonly<Record<TermName, number>> {
  const isInOrder = isValidSequence(tags, response, policyText);
  const isAnswered = finalAnswer(answer, tags, policyText) !== undefined;
  return {
    accuracy,
    wrong: 1 - accuracy,
    format,
    valid_format: Number(isValidFormat(tags, policyText)),
    valid_sequence: Number(isInOrder),
    attempt: Number(isAnswered && accuracy === 0 && !isInOrder),
    execution_failed: Number(executionFailed),
  };
}
