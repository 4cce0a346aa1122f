// The recipe's reward: a profile to start from, and what it changes of it. The names of all that
// can be set stand here, so that a wrong one is known with its line; what they mean is in
// src/reward.

import { z } from "zod";

export const REWARD_PROFILES = [
  "icrl",
  "icrl-official",
  "icrl-math",
  "search-r1",
  "search-r1-format",
  "retool",
  "torl",
  "code",
] as const;
export type RewardProfileName = (typeof REWARD_PROFILES)[number];

/** How an answer is compared with the golds. */
export const ACCURACY_KINDS = ["em", "em_or_all_golds", "cover_em", "f1", "math", "tests"] as const;
export type AccuracyKind = (typeof ACCURACY_KINDS)[number];

/** The terms of the reward: total = sum of weight x term. */
export const TERMS = [
  "accuracy", // 0..1
  "wrong", // 1 - accuracy
  "format", // 0..1: 1 - the penalties charged
  "valid_format", // 0 or 1: no fault at all
  "valid_sequence", // 0 or 1: tags in the order of Search-R1's state machine
  "attempt", // 0 or 1: there is an answer, and neither it nor the sequence is right
  "execution_failed", // 0 or 1: the code of the last tool call failed
] as const;
export type TermName = (typeof TERMS)[number];

/** Faults of the format, each with what it takes off the format term. */
export const PENALTIES = [
  "empty_response",
  "no_answer",
  "unbalanced_answer",
  "empty_answer",
  "no_think",
  "unbalanced_think",
  "no_search",
] as const;
export type PenaltyName = (typeof PENALTIES)[number];

const profile = z.enum(REWARD_PROFILES, {
  error: ({ input }) => `unknown reward profile ${JSON.stringify(input)}`,
});
const accuracy = z.enum(ACCURACY_KINDS, {
  error: ({ input }) => `unknown kind of accuracy ${JSON.stringify(input)}`,
});
const weight = z.number();
const penalty = z.number().min(0);

/** Limits of the tests of one answer that is code, all of them together. */
const tests = z.strictObject({
  timeout_ms: z.int().positive().default(5000),
  memory_mb: z.int().positive().default(512),
});

export const rewardSection = z
  .strictObject({
    profile: profile.default("icrl"),
    /** Absent: the profile's. */
    accuracy: accuracy.optional(),
    /** Of terms of the reward; those that are absent have the profile's. */
    weights: z.strictObject(optionals(TERMS, weight)).prefault({}),
    /** Of faults of the format; those that are absent have the profile's. */
    penalties: z.strictObject(optionals(PENALTIES, penalty)).prefault({}),
    /** A TypeScript or Python file of your own: its total is the reward. */
    file: z
      .string()
      .regex(/\.(ts|mts|js|mjs|py)$/, "a TypeScript (.ts) or Python (.py) file")
      .optional(),
    /** What one call of the reward file may take; one that takes longer stops the run. */
    deadline_ms: z.int().positive().default(60_000),
    tests: tests.prefault({}),
  })
  .check(({ value, issues }) => {
    if (value.file === undefined || Object.keys(value.weights).length === 0) return;
    const message = "reward.weights do nothing beside reward.file, whose total is the reward";
    issues.push({ code: "custom", input: value, path: ["weights"], message });
  });

export type RewardRecipe = z.output<typeof rewardSection>;

function optionals<N extends string, T extends z.ZodType>(names: readonly N[], type: T) {
  const entries = names.map((name) => [name, type.optional()] as const);
  return Object.fromEntries(entries) as Record<N, z.ZodOptional<T>>;
}
