// Reward profiles: what a rollout is paid for, as data. score.ts evaluates them; a recipe starts
// from one and changes what it likes.

import {
  type AccuracyKind,
  type PenaltyName,
  REWARD_PROFILES,
  type RewardProfileName,
  type RewardRecipe,
  type TermName,
} from "../config/reward-recipe.ts";
import { suggestion, UserError } from "../config/errors.ts";
import type { AnswerPlace } from "./answer.ts";
import { PYTHON } from "./tag-profiles.ts";
import type { ToolTag } from "./tags.ts";

export interface RewardProfile {
  readonly name: string;
  readonly tags: string; // the tag profile that the text is read by, unless the caller has its own
  readonly tools?: readonly ToolTag[]; // whose tags these are; absent: the tag profile's usual one
  /** total = sum of weight x term; a term without a weight is not paid. */
  readonly weights: Readonly<Partial<Record<TermName, number>>>;
  readonly accuracy: AccuracyKind;
  /** Where the answer stands. Always in the policy's own text. */
  readonly answer: AnswerPlace;
  /** The text that the format term is counted on. */
  readonly formatScope: "policy" | "prompt_and_response";
  readonly penalties: Readonly<Record<PenaltyName, number>>;
}

const penalties: RewardProfile["penalties"] = {
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
  answer: "tags",
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

const icrlMath: RewardProfile = { ...icrl, name: "icrl-math", accuracy: "math", tools: [PYTHON] };

/** Search-R1 (arXiv 2503.09516): exact match and nothing else; the format is measured, not paid. */
const searchR1: RewardProfile = {
  ...icrl,
  name: "search-r1",
  tags: "search-r1",
  weights: { accuracy: 1, format: 0 },
};

/**
 * Search-R1 v0.3: right and in order 1, right only .8, in order only .2, an answer that is neither
 * .1. Its code pays 0 where there is no answer and no order, and so does this.
 */
const searchR1Format: RewardProfile = {
  ...searchR1,
  name: "search-r1-format",
  weights: { accuracy: 0.8, valid_sequence: 0.2, attempt: 0.1 },
};

/** ReTool (arXiv 2504.11536), after DAPO: 1 for a right answer, -1 for any other response. */
const retool: RewardProfile = {
  ...icrl,
  name: "retool",
  tags: "retool",
  weights: { accuracy: 1, wrong: -1 },
  accuracy: "math",
  answer: "boxed_or_line",
};

/** ToRL (arXiv 2503.23383): 1 or -1, and .5 less where the last code executed failed. */
const torl: RewardProfile = {
  ...icrl,
  name: "torl",
  tags: "torl",
  weights: { accuracy: 1, wrong: -1, execution_failed: -0.5 },
  accuracy: "math",
  answer: "boxed",
};

/** The share of its tests that the code in the answer passes, and the format as in `icrl`. */
const code: RewardProfile = { ...icrl, name: "code", accuracy: "tests", tools: [PYTHON] };

const profiles: Readonly<Record<RewardProfileName, RewardProfile>> = {
  icrl,
  "icrl-official": icrlOfficial,
  "icrl-math": icrlMath,
  "search-r1": searchR1,
  "search-r1-format": searchR1Format,
  retool,
  torl,
  code,
};
export const rewardProfileNames: readonly string[] = REWARD_PROFILES;

export function rewardProfile(name: string): RewardProfile {
  const found = REWARD_PROFILES.find((known) => known === name);
  if (found !== undefined) return profiles[found];
  throw new UserError(`unknown reward profile "${name}"`, {
    hint: suggestion(name, rewardProfileNames),
  });
}

/** The recipe's profile with what the recipe changes of it. */
export function profileOf(recipe: RewardRecipe): RewardProfile {
  const base = rewardProfile(recipe.profile);
  return {
    ...base,
    accuracy: recipe.accuracy ?? base.accuracy,
    weights: { ...base.weights, ...defined(recipe.weights) },
    penalties: { ...base.penalties, ...defined(recipe.penalties) },
  };
}

function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const known = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as { [K in keyof T]: Exclude<T[K], undefined> };
}
