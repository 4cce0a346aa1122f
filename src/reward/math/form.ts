// What an answer is as a whole: a number or expression, perhaps with a unit or after `x =`; a set
// or list; a tuple or interval; a union; a relation. Parts are forms themselves. Not here:
// expressions (expression.ts), comparing (equal.ts).

import { type Budget, CannotTell, LIMITS } from "./budget.ts";
import { normalText } from "./clean.ts";
import { readExpression } from "./expression.ts";
import { splitUnit } from "./units.ts";
import type { Value } from "./value.ts";

export type Form =
  | { readonly kind: "value"; readonly value: Value; readonly unit: string | undefined }
  | { readonly kind: "named"; readonly name: string; readonly of: Form }
  /** In any order. */
  | { readonly kind: "set" | "union"; readonly items: readonly Form[] }
  | { readonly kind: "tuple"; readonly brackets: string; readonly items: readonly Form[] }
  | { readonly kind: "relation"; readonly signs: string; readonly items: readonly Form[] };

/** Of a cleaned text. Throws CannotTell. */
export function readForm(cleaned: string, budget: Budget): Form {
  return formOf(withoutThousands(cleaned), budget, 0);
}

function formOf(text: string, budget: Budget, depth: number): Form {
  budget.spend(text.length);
  if (depth > LIMITS.depth) throw new CannotTell("too deep");
  if (text === "") throw new CannotTell("nothing");
  const inside = (part: string): Form => formOf(part.trim(), budget, depth + 1);
  const pieces = splitTop(text, /[∪]/y);
  if (pieces.length > 1) return { kind: "union", items: items(pieces, inside) };
  const list = splitTop(text, /[,;]\s*(?:(?:and|or)\b)?|\b(?:and|or)\b/y);
  if (list.length > 1) return { kind: "set", items: items(list, inside) };
  const signs = text.split("±").length - 1;
  if (signs > 1) throw new CannotTell("several ±");
  if (signs === 1) {
    return { kind: "set", items: ["+", "-"].map((sign) => inside(text.replace("±", sign))) };
  }
  return bracketsOf(text, inside) ?? relationOf(text, inside) ?? measured(text, budget);
}

/** A tuple, an interval or a set: a pair of brackets around all of it, with commas inside. */
function bracketsOf(text: string, inside: (part: string) => Form): Form | undefined {
  const [first, last] = [text[0]!, text.at(-1)!];
  if (!"([⦃".includes(first) || !")]⦄".includes(last) || closerOf(text) !== text.length - 1) {
    return undefined;
  }
  const parts = splitTop(text.slice(1, -1), /[,;]/y);
  if (first === "⦃") return { kind: "set", items: items(parts, inside) };
  if (parts.length === 1) return undefined;
  return { kind: "tuple", brackets: first + last, items: items(parts, inside) };
}

/** `x = 5` is a named 5; other relations keep their sides. */
function relationOf(text: string, inside: (part: string) => Form): Form | undefined {
  const signs = [...text.matchAll(/[=≠<>≤≥∈]/g)].map(([sign]) => sign);
  if (signs.length === 0) return undefined;
  const sides = splitTop(text, /[=≠<>≤≥∈]/y).map((side) => side.trim());
  if (sides.length !== signs.length + 1) throw new CannotTell("a relation in brackets");
  if (signs.length === 1 && "=∈".includes(signs[0]!)) {
    const [left, right] = sides as [string, string];
    if (isName(left)) return { kind: "named", name: normalText(left), of: inside(right) };
    if (isName(right)) return { kind: "named", name: normalText(right), of: inside(left) };
  }
  const isFalling = signs.every((sign) => sign === ">" || sign === "≥");
  const forward = isFalling ? signs.map((sign) => (sign === ">" ? "<" : "≤")).toReversed() : signs;
  const ordered = isFalling ? sides.toReversed() : sides;
  return { kind: "relation", signs: forward.join(""), items: items(ordered, inside) };
}

/** A letter or word, with a subscript or arguments: x, x_1, f(x), \theta. */
const isName = (side: string): boolean =>
  /^\\?[A-Za-z]+\s*(?:_\s*(?:\w|\{\w+\}))?\s*(?:\(\s*[A-Za-z]\s*\))?$/.test(side);

function measured(text: string, budget: Budget): Form {
  if (/^\p{L}{2,}$/u.test(text)) throw new CannotTell("a word");
  const { number, unit } = splitUnit(text);
  return { kind: "value", value: readExpression(number, budget), unit };
}

function items(parts: readonly string[], inside: (part: string) => Form): Form[] {
  if (parts.length > LIMITS.items) throw new CannotTell("a long list");
  return parts.map(inside);
}

const OPENERS = "([{⦃";
const CLOSERS = ")]}⦄";

/** Where the bracket that the text begins with is closed. Intervals may close with another one. */
function closerOf(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (OPENERS.includes(text[at]!)) depth++;
    else if (CLOSERS.includes(text[at]!) && --depth === 0) return at;
  }
  return -1;
}

/** Parts between separators outside of all brackets. `separator` is sticky. */
function splitTop(text: string, separator: RegExp): string[] {
  const parts: string[] = [];
  let [depth, start] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    if (OPENERS.includes(text[at]!)) depth++;
    else if (CLOSERS.includes(text[at]!)) depth--;
    if (depth !== 0) continue;
    separator.lastIndex = at;
    const match = separator.exec(text);
    if (match === null) continue;
    parts.push(text.slice(start, at));
    start = at + match[0].length;
    at = start - 1;
  }
  return [...parts, text.slice(start)];
}

/**
 * 1,234,567 and 1 234 567 are one number; in parentheses, where (1,234) may be a point, commas
 * part.
 */
function withoutThousands(text: string): string {
  const spaced = text.replace(/(?<![\d.,]\s?)\d{1,3}(?: \d{3})+(?![\d/]| ?\d)/g, (number) =>
    number.replaceAll(" ", ""),
  );
  let depth = 0;
  return spaced.replace(/[([⦃)\]⦄]|(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g, (found) => {
    if ("([⦃".includes(found)) depth++;
    else if (")]⦄".includes(found)) depth--;
    else if (depth === 0) return found.replaceAll(",", "");
    return found;
  });
}
