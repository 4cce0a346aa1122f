// Every source format, the most particular first: a file is of the first one that its first row
// matches.

import { nearest, UserError } from "../../config/errors.ts";
import type { Row } from "../row.ts";
import { aime } from "./aime.ts";
import { bamboogle } from "./bamboogle.ts";
import { custom } from "./custom.ts";
import { dapoMath } from "./dapo-math.ts";
import { flashrag } from "./flashrag.ts";
import type { SourceFormat } from "./format.ts";
import { gsm8k } from "./gsm8k.ts";
import { hotpotQa } from "./hotpot-qa.ts";
import { humanEval } from "./humaneval.ts";
import { mbpp } from "./mbpp.ts";
import { musique } from "./musique.ts";
import { nqOpen } from "./nq-open.ts";
import { popQa } from "./popqa.ts";
import { triviaQa } from "./trivia-qa.ts";
import { verl } from "./verl.ts";

export const sourceFormats: readonly SourceFormat[] = [
  dapoMath,
  verl,
  humanEval,
  mbpp,
  flashrag,
  popQa,
  triviaQa,
  musique,
  hotpotQa,
  bamboogle,
  aime,
  gsm8k,
  nqOpen,
  custom,
];

/** Columns that a format may look at; a file with others has more than is read. */
export const knownColumns: readonly string[] = [
  ...new Set(sourceFormats.flatMap(({ columns }) => columns)),
];

/** Throws UserError where no format has rows like this one; `where` is the row. */
export function formatOf(row: Row, where: string): SourceFormat {
  const found = sourceFormats.find((format) => format.matches(row));
  if (found !== undefined) return found;
  const names = Object.keys(row);
  const what = `no known format has rows with ${names.join(", ") || "no fields"}`;
  throw new UserError(what, { where, hint: misspelling(names) ?? namesHint });
}

const namesHint =
  "name the columns in the recipe: data.train: [{path: P, fields: {question: X, answer: Y}}]";

/** A question or answer column whose name is nearly right. */
function misspelling(names: readonly string[]): string | undefined {
  for (const wanted of ["question", "golden_answers", "answers", "answer"]) {
    const near = names.includes(wanted) ? undefined : nearest(wanted, names);
    const taken = near === undefined || knownColumns.includes(near);
    if (!taken) return `"${near}": did you mean "${wanted}"?`;
  }
  return undefined;
}
