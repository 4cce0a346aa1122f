// The reward of one rollout from its texts: a pure function of a profile, with every component
// kept. Only what the policy wrote itself can earn accuracy; a tool's output never does.

import type { Reward } from "../types.ts";
import { isAccurate } from "./accuracy.ts";
import { chargedPenalties, formatScore, isValidFormat } from "./format.ts";
import type { RewardProfile } from "./profiles.ts";
import { lastAnswer, ownText, type TagProfile } from "./tags.ts";

export interface ScoredText {
  readonly prompt: string;
  readonly response: string; // policy and observation text
  readonly policyText: string; // the policy's own part of the response
  readonly golds: readonly string[];
}

/**
 * Components: `em` (0 or 1), `format` (0..1), `valid_format` (0 or 1, not paid), and each penalty
 * under its fault's name, as charged (0 where the fault is absent).
 */
export function scoreRollout(profile: RewardProfile, tags: TagProfile, text: ScoredText): Reward {
  const answer = lastAnswer(tags, text.policyText);
  const em = answer !== undefined && isAccurate(profile.accuracy, answer, text.golds) ? 1 : 0;
  const judged = profile.formatScope === "policy" ? text.policyText : text.prompt + text.response;
  const charged = chargedPenalties(tags, profile.penalties, judged);
  const format = formatScore(charged);
  const validFormat = isValidFormat(tags, text.policyText) ? 1 : 0;
  return {
    total: profile.weights.accuracy * em + profile.weights.format * format,
    components: { em, format, valid_format: validFormat, ...charged },
  };
}

/**
 * Scores a response whose token roles are not known: its observations are recognised by their tags.
 */
export function scoreResponse(
  profile: RewardProfile,
  tags: TagProfile,
  text: Omit<ScoredText, "policyText">,
): Reward {
  return scoreRollout(profile, tags, { ...text, policyText: ownText(tags, text.response) });
}
