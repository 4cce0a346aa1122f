// Corpora for tests of search: rows of words, frequent ones more often, from a seed.

import { Random } from "../../src/data/random.ts";

export interface CorpusRow {
  readonly id: string;
  readonly contents: string;
}

/** `numWords` different words; the n-th is as frequent as 1/n. */
export function randomCorpus(seed: number, rows: number, numWords = 2000): CorpusRow[] {
  const random = new Random(seed, "corpus");
  const words = (count: number): string =>
    Array.from({ length: count }, () => randomWord(random, numWords)).join(" ");
  return Array.from({ length: rows }, (_, i) => ({
    id: `d${i}`,
    contents: `"${words(2)}"\n${words(8 + random.integer(30))}.`,
  }));
}

/** 2 or 3 words of the corpus. */
export function randomQuery(random: Random, numWords = 2000): string {
  return Array.from({ length: 2 + random.integer(2) }, () => randomWord(random, numWords)).join(
    " ",
  );
}

function randomWord(random: Random, numWords: number): string {
  return `w${Math.floor(numWords ** random.float()) - 1}`;
}
