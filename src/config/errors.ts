// The one error class meant for the person at the terminal, and "did you mean". Not for our own
// bugs: those throw Error. A UserError is printed as one line: `icrl: <what> (<where>) - <hint>`.

export interface UserErrorDetails {
  /** A place a person can go to: `recipe.yaml:12:3`, `--set train.learning_rate`. */
  readonly where?: string | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** 2 for wrong usage of the command line, 1 for everything else. */
  readonly exitCode?: 1 | 2;
}

export class UserError extends Error {
  override readonly name = "UserError";
  readonly where: string | undefined;
  readonly hint: string | undefined;
  readonly exitCode: 1 | 2;

  constructor(what: string, details: UserErrorDetails = {}) {
    super(what);
    this.where = details.where;
    this.hint = details.hint;
    this.exitCode = details.exitCode ?? 1;
  }

  /** The line that a person sees, without the program's name. */
  describe(): string {
    const where = this.where === undefined ? "" : ` (${this.where})`;
    const hint = this.hint === undefined ? "" : ` - ${this.hint}`;
    return `${this.message}${where}${hint}`;
  }
}

/** The candidate nearest to `word`, or undefined where more than a third of the letters differ. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, distance: distanceIgnoringCase(word, candidate) }))
    .filter(({ candidate, distance }) => distance <= tolerance(word, candidate))
    .toSorted((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}

function tolerance(word: string, candidate: string): number {
  return Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
}

function distanceIgnoringCase(a: string, b: string): number {
  return editDistance(a.toLowerCase(), b.toLowerCase());
}

/** `did you mean "x"?`, or the list of what exists. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? `known: ${candidates.join(", ")}` : `did you mean "${near}"?`;
}

/** Damerau-Levenshtein distance (optimal string alignment): two swapped neighbours count once. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) row.push(cell(rows, row, a, b, i, j));
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

function cell(rows: number[][], row: number[], a: string, b: string, i: number, j: number): number {
  const above = rows[i - 1]!;
  const substitution = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
  const best = Math.min(above[j]! + 1, row[j - 1]! + 1, substitution);
  const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
  return swapped ? Math.min(best, rows[i - 2]![j - 2]! + 1) : best;
}
