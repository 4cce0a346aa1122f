// How far a text keeps to the protocol: 1 minus a penalty for each fault, clamped to [0, 1]
// (In-Context RL for tool use, arXiv 2603.08068; the counting rules are those of its released
// code). Which text is judged is the profile's choice.

import { lastBoxed } from "./math/boxed.ts";
import { countOf, lastAnswer, type TagPair, type TagProfile } from "./tags.ts";

/** An answer in a box counts its boxes where it has no tags. */
export const faultNames = [
  "empty_response", // nothing but white space
  "no_answer", // the opening or the closing tag is absent, or the box that belongs inside
  "unbalanced_answer", // the two counts differ
  "empty_answer", // the last complete pair or box holds only white space
  "no_think", // this and the next: only where thoughts have tags
  "unbalanced_think",
  "no_search", // no tag of a call appears, of whatever tool
] as const;
export type FaultName = (typeof faultNames)[number];
export type Penalties = Readonly<Record<FaultName, number>>;

/** Which faults a text has. */
export function findFaults(tags: TagProfile, text: string): Readonly<Record<FaultName, boolean>> {
  const answer = countAnswers(tags, text);
  const think = tags.think && countPair(tags.think, text);
  const last = lastAnswer(tags, text);
  return {
    empty_response: text.trim() === "",
    no_answer: isAbsent(answer) || (tags.answerIn === "box_in_tags" && last === undefined),
    unbalanced_answer: answer.opened !== answer.closed,
    empty_answer: last === "",
    no_think: think !== undefined && isAbsent(think),
    unbalanced_think: think !== undefined && think.opened !== think.closed,
    no_search: tags.calls.every((form) => isUnused(countPair(form.tags, text))),
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
 * Strict and binary: no fault, exactly one answer, after it only white space (and what ends a
 * formula and its sentence, after a box), no observation tag by the policy.
 */
export function isValidFormat(tags: TagProfile, policyText: string): boolean {
  if (Object.values(findFaults(tags, policyText)).includes(true)) return false;
  if (forgesObservation(tags, policyText)) return false;
  return countAnswers(tags, policyText).opened === 1 && endsWithAnswer(tags, policyText);
}

function endsWithAnswer({ answerIn, answer }: TagProfile, text: string): boolean {
  if (answerIn === "message") return true;
  if (answerIn === "box") return /\}[\s.$)\]\\*]*$/.test(text);
  return text.trimEnd().toLowerCase().endsWith(answer.close.toLowerCase());
}

/** Tags that calls are written with too can't be told apart, and are a call's. */
function forgesObservation({ observation, calls, stops }: TagProfile, text: string): boolean {
  const ofCalls = [
    ...calls.flatMap(({ tags: { open, close } }) => [open, close]),
    ...stops.map((stop) => stop.text),
  ];
  return [observation.open, observation.close].some(
    (tag) => !ofCalls.includes(tag) && countOf(tag, text) > 0,
  );
}

interface PairCount {
  readonly opened: number;
  readonly closed: number;
}

function countPair(tag: TagPair, text: string): PairCount {
  return { opened: countOf(tag.open, text), closed: countOf(tag.close, text) };
}

/** Boxes and whole messages are closed where they can be read. */
function countAnswers(tags: TagProfile, text: string): PairCount {
  const isAnswered = lastAnswer(tags, text) !== undefined;
  switch (tags.answerIn) {
    case "tags":
    case "box_in_tags":
      return countPair(tags.answer, text);
    case "box":
      return countBoxes(text);
    case "message":
      return { opened: Number(isAnswered), closed: Number(isAnswered) };
  }
}

/** A box that begins after the last closed one is open. */
function countBoxes(text: string): PairCount {
  const opened = [...text.matchAll(/\\f?boxed\s*\{/g)];
  const last = opened.at(-1);
  if (last === undefined) return { opened: 0, closed: 0 };
  const isClosed = lastBoxed(text)?.start === last.index + last[0].length;
  return { opened: opened.length, closed: opened.length - (isClosed ? 0 : 1) };
}

const isUnused = ({ opened, closed }: PairCount): boolean => opened + closed === 0;

function isAbsent(count: PairCount): boolean {
  return count.opened === 0 || count.closed === 0;
}
