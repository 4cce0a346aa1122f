// How far a text keeps to the protocol: 1 minus a penalty for each fault, clamped to [0, 1]
// (In-Context RL for tool use, arXiv 2603.08068; the counting rules are those of its released
// code). Which text is judged is the profile's choice.

import { countOf, lastAnswer, type TagPair, type TagProfile } from "./tags.ts";

export const faultNames = [
  "empty_response", // nothing but white space
  "no_answer", // the opening or the closing tag is absent
  "unbalanced_answer", // the two counts differ
  "empty_answer", // the last complete pair holds only white space
  "no_think",
  "unbalanced_think",
  "no_search", // neither tag of a call appears
] as const;
export type FaultName = (typeof faultNames)[number];
export type Penalties = Readonly<Record<FaultName, number>>;

/** Which faults a text has. */
export function findFaults(tags: TagProfile, text: string): Readonly<Record<FaultName, boolean>> {
  const answer = countPair(tags.answer, text);
  const think = countPair(tags.think, text);
  const call = countPair(tags.call, text);
  return {
    empty_response: text.trim() === "",
    no_answer: isAbsent(answer),
    unbalanced_answer: answer.opened !== answer.closed,
    empty_answer: lastAnswer(tags, text) === "",
    no_think: isAbsent(think),
    unbalanced_think: think.opened !== think.closed,
    no_search: call.opened + call.closed === 0,
  };
}

/** The penalty that each fault of the text costs; 0 where there is none. */
export function chargedPenalties(tags: TagProfile, penalties: Penalties, text: string): Penalties {
  const faults = findFaults(tags, text);
  const charged = faultNames.map((name) => [name, faults[name] ? penalties[name] : 0] as const);
  return Object.fromEntries(charged) as Record<FaultName, number>;
}

export function formatScore(charged: Penalties): number {
  const sum = faultNames.reduce((total, name) => total + charged[name], 0);
  return Math.min(1, Math.max(0, 1 - sum));
}

/**
 * Strict and binary: no fault, exactly one answer, only white space after it, no observation tag by
 * the policy.
 */
export function isValidFormat(tags: TagProfile, policyText: string): boolean {
  if (Object.values(findFaults(tags, policyText)).includes(true)) return false;
  const observation = countPair(tags.observation, policyText);
  const answers = countPair(tags.answer, policyText);
  const endsClosed = policyText.trimEnd().toLowerCase().endsWith(tags.answer.close.toLowerCase());
  return answers.opened === 1 && endsClosed && observation.opened + observation.closed === 0;
}

interface PairCount {
  readonly opened: number;
  readonly closed: number;
}

function countPair(tag: TagPair, text: string): PairCount {
  return { opened: countOf(tag.open, text), closed: countOf(tag.close, text) };
}

function isAbsent(count: PairCount): boolean {
  return count.opened === 0 || count.closed === 0;
}
