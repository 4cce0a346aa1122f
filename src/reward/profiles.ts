// Reward profiles: what a rollout is paid for, as data. score.ts evaluates them.

import { suggestion, UserError } from "../config/errors.ts";
import type { AccuracyKind } from "./accuracy.ts";
import type { Penalties } from "./format.ts";

export interface RewardProfile {
  readonly name: string;
  readonly tags: string; // the tag profile that the text is read by, unless the caller has its own
  readonly weights: { readonly accuracy: number; readonly format: number };
  readonly accuracy: AccuracyKind;
  /** The text that the format term is counted on. Accuracy always reads the policy's own text. */
  readonly formatScope: "policy" | "prompt_and_response";
  readonly penalties: Penalties;
}

const penalties: Penalties = {
  empty_response: 1,
  no_answer: 0.5,
  unbalanced_answer: 0.2,
  empty_answer: 0.2,
  no_think: 0.15,
  unbalanced_think: 0.1,
  no_search: 0.1,
};

const icrl: RewardProfile = {
  name: "icrl",
  tags: "icrl",
  weights: { accuracy: 0.8, format: 0.2 },
  accuracy: "em",
  formatScope: "policy",
  penalties,
};

/**
 * As the paper's released code: the prompt's own tags are counted too, so a tag missing in the
 * response costs nothing.
 */
const icrlOfficial: RewardProfile = {
  ...icrl,
  name: "icrl-official",
  accuracy: "em_or_all_golds",
  formatScope: "prompt_and_response",
  penalties: { ...penalties, empty_response: 0 },
};

/** Search-R1 (arXiv 2503.09516): exact match and nothing else; the format is measured, not paid. */
const searchR1: RewardProfile = {
  ...icrl,
  name: "search-r1",
  tags: "search-r1",
  weights: { accuracy: 1, format: 0 },
};

const profiles: readonly RewardProfile[] = [icrl, icrlOfficial, searchR1];
export const rewardProfileNames: readonly string[] = profiles.map((profile) => profile.name);

export function rewardProfile(name: string): RewardProfile {
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  throw new UserError(`unknown reward profile "${name}"`, {
    hint: suggestion(name, rewardProfileNames),
  });
}
