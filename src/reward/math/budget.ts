// What a comparison may cost. Answers are written by a policy, so they may be hostile: whatever
// asks for more than this, or cannot be read, ends in CannotTell, and what cannot be told is not
// equal.

export class CannotTell extends Error {
  override readonly name = "CannotTell";
}

export const LIMITS = {
  characters: 2000,
  depth: 40, // of brackets and of calls
  digits: 1000, // of a number as it is written
  bits: 16384, // of a numerator or denominator
  terms: 300, // of a sum
  exponent: 64, // of a sum; powers of a single number are limited by their bits
  items: 64, // of a list
  factored: 1e12, // larger numbers are not taken apart under a root
  work: 30_000, // small steps of arithmetic, of one text
} as const;

/** Counts work down. One for each text. */
export class Budget {
  private left: number = LIMITS.work;

  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) throw new CannotTell("too much work");
  }
}
