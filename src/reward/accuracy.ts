// How right is an answer? Exact match, token F1 and cover exact match, all after SQuAD's
// normalisation (Rajpurkar et al. 2016), and equality of mathematics (math/). Of several golds the
// best one counts. Not here: answers that are code and have to be run (code/).

import type { AccuracyKind } from "../config/reward-recipe.ts";
import { mathEquals } from "./math/equal.ts";

/** The kinds that a text alone decides. */
export type TextAccuracyKind = Exclude<AccuracyKind, "tests">;

export interface Accuracy {
  /** In [0, 1]: what is paid. */
  readonly value: number;
  /** Right in full, 0 or 1 as component `em`: what evaluations count. */
  readonly isRight: boolean;
}

const asciiPunctuation = /[!-/:-@[-`{-~]/g;

/** Lower-case; ASCII punctuation deleted; whole words a, an, the dropped; white space collapsed. */
export function normaliseAnswer(text: string): string {
  return text
    .toLowerCase()
    .replace(asciiPunctuation, "")
    .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ")
    .split(/\s+/u)
    .filter((word) => word !== "")
    .join(" ");
}

/**
 * The normal form, or the plain text where nothing is left of it ("+" and "The" are then still told
 * apart).
 */
function comparable(text: string): string {
  return normaliseAnswer(text) || text.trim().toLowerCase();
}

export function exactMatch(answer: string, golds: readonly string[]): boolean {
  const normalised = comparable(answer);
  return golds.some((gold) => comparable(gold) === normalised);
}

/** Whether each of two or more golds occurs in the answer, after normalisation. */
export function containsAllGolds(answer: string, golds: readonly string[]): boolean {
  const normalised = comparable(answer);
  return golds.length > 1 && golds.every((gold) => normalised.includes(comparable(gold)));
}

/** `f1` is graded: it pays for a part, and is right where an exact match is. */
export function textAccuracy(
  kind: TextAccuracyKind,
  answer: string,
  golds: readonly string[],
): Accuracy {
  if (kind === "f1") {
    return { value: tokenF1(answer, golds), isRight: exactMatch(answer, golds) };
  }
  const isRight = isAccurate(kind, answer, golds);
  return { value: Number(isRight), isRight };
}

/** `em_or_all_golds`: also an answer that contains every one of several golds. */
function isAccurate(kind: TextAccuracyKind, answer: string, golds: readonly string[]): boolean {
  switch (kind) {
    case "em":
    case "f1":
      return exactMatch(answer, golds);
    case "em_or_all_golds":
      return exactMatch(answer, golds) || containsAllGolds(answer, golds);
    case "cover_em":
      return coverExactMatch(answer, golds);
    case "math":
      return golds.some((gold) => mathEquals(answer, gold));
  }
}

/**
 * Token F1, in [0, 1]: the harmonic mean of precision and recall of the words that answer and gold
 * have in common, counted with repetition (SQuAD v1.1's evaluation script). HotpotQA's script gives
 * a wrong yes or no 0 instead; that is not done here.
 */
export function tokenF1(answer: string, golds: readonly string[]): number {
  const words = comparable(answer).split(/\s+/u);
  return Math.max(0, ...golds.map((gold) => wordF1(words, comparable(gold).split(/\s+/u))));
}

function wordF1(answer: readonly string[], gold: readonly string[]): number {
  const left = new Map<string, number>();
  for (const word of gold) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of answer) {
    const count = left.get(word) ?? 0;
    if (word === "" || count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  return (2 * common) / (answer.length + gold.length);
}

/**
 * Cover exact match: whether a gold occurs in the answer, as a text, not as words ("sub_em" of
 * FlashRAG and Search-R1; Rosset et al. 2020 name it). A long answer that lists candidates is
 * right, and so is "1923" where "23" is wanted: read it beside exact match.
 */
export function coverExactMatch(answer: string, golds: readonly string[]): boolean {
  const normalised = comparable(answer);
  return golds.map(comparable).some((gold) => gold !== "" && normalised.includes(gold));
}
