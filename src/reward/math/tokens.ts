// Tokens of a cleaned expression: numbers, names, operators. `spaced` tells whether white space
// came before.

import { CannotTell, LIMITS } from "./budget.ts";

export interface Token {
  readonly kind: "number" | "name" | "operator";
  readonly text: string;
  readonly spaced: boolean;
}

const exponent = String.raw`(?:[eE][+-]?\d+)?`;
const repeating = String.raw`\\overline\{\d+\}`;
const fraction = String.raw`\.(?:\d+(?:${repeating})?|${repeating})`;
const number = String.raw`(?:\d+(?:\.\d*)?(?:${repeating})?|${fraction})${exponent}`;
const name = String.raw`\\[A-Za-z]+|[A-Za-zα-ωΑ-Ω∞]+`;
const operator = String.raw`[-+*/^_(){}\[\]⦃⦄!%|]`;
const pattern = new RegExp(`(\\s*)(?:(${number})|(${name})|(${operator}))`, "uy");

/** Functions that are kept by name; a run of other letters is a product of variables. */
export const FUNCTIONS: ReadonlySet<string> = new Set(
  "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp".split(" "),
);
const NAMES: ReadonlySet<string> = new Set([...FUNCTIONS, "sqrt"]);

export function tokens(text: string): Token[] {
  const found: Token[] = [];
  const scanner = new RegExp(pattern);
  for (let at = 0; at < text.length; at = scanner.lastIndex) {
    scanner.lastIndex = at;
    const match = scanner.exec(text);
    if (match === null) throw new CannotTell(`"${text[at]}" is not read`);
    const [, space, number, name, operator] = match;
    const spaced = space !== "";
    if (number !== undefined) found.push({ kind: "number", text: number, spaced });
    else if (operator !== undefined) found.push({ kind: "operator", text: operator, spaced });
    else found.push(...namesIn(name!, spaced));
  }
  return found;
}

/** A command or a known function is one name; up to three other letters are a variable each. */
function namesIn(run: string, spaced: boolean): Token[] {
  if (run.startsWith("\\")) return [{ kind: "name", text: run.slice(1), spaced }];
  if (NAMES.has(run)) return [{ kind: "name", text: run, spaced }];
  const letters = [...run];
  if (letters.length > 3) throw new CannotTell("a word");
  return letters.map((text, index) => ({ kind: "name", text, spaced: spaced && index === 0 }));
}

/** Digits of a number, whatever stands between them. */
export function requireShort(number: string): void {
  if (number.length > LIMITS.digits) throw new CannotTell("a long number");
}
