// Is the answer right? Exact match after SQuAD's normalisation (Rajpurkar et al. 2016). No partial
// credit here.

/**
 * What counts as right. `em_or_all_golds`: also an answer that contains every one of several golds.
 */
export type AccuracyKind = "em" | "em_or_all_golds";

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

export function isAccurate(kind: AccuracyKind, answer: string, golds: readonly string[]): boolean {
  if (exactMatch(answer, golds)) return true;
  return kind === "em_or_all_golds" && containsAllGolds(answer, golds);
}
