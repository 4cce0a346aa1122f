// An answer as it was written to a plain line: the last \boxed{} if there is one, without dollars,
// spacing, sizes and fonts, with one sign for each operator. Every replacement is linear in the
// text. Not here: reading it.

import { lastBoxed } from "./boxed.ts";
import { CannotTell, LIMITS } from "./budget.ts";

/** Signs inside: { } of LaTeX group, ⦃ ⦄ are braces of a set. */
export function clean(text: string): string {
  if (text.length > LIMITS.characters) throw new CannotTell("a long text");
  const boxed = lastBoxed(text)?.content ?? text;
  const plain = rules.reduce((line, rule) => applied(line, rule), boxed);
  return withoutEnd(withoutFonts(plain).replace(/\s+/g, " ").trim());
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const VULGAR: Readonly<Record<string, string>> = {
  "½": "1/2",
  "⅓": "1/3",
  "⅔": "2/3",
  "¼": "1/4",
  "¾": "3/4",
  "⅕": "1/5",
  "⅙": "1/6",
  "⅛": "1/8",
  "⅜": "3/8",
  "⅝": "5/8",
  "⅞": "7/8",
};

type Rule = readonly [RegExp, string | ((match: string) => string)];

function applied(line: string, [pattern, by]: Rule): string {
  return typeof by === "string" ? line.replace(pattern, by) : line.replace(pattern, by);
}

/** In this order. */
const rules: readonly Rule[] = [
  [/\\(?:\$|[()[\]])|[$€£]/g, " "], // delimiters of mathematics, and money: the number is meant
  [/\{,\}/g, ","],
  [/\\\\/g, " "],
  [/\\[!,;:> ]|~|\\q?quad(?![a-z])|[\u00a0\u2009\u202f\u200b]/g, " "],
  [/\\(?:left|right|bigg?|Bigg?|displaystyle|textstyle|limits)(?![a-z])\.?/gi, " "],
  [/\\[dtc]frac/g, "\\frac"],
  [/\^\s*\{?\s*(?:\\circ|\\degree|°|∘)\s*\}?|\\degree|\\circ|°|\bdegrees?\b/g, " "],
  [/\\(?:lbrace|\{)/g, "⦃"],
  [/\\(?:rbrace|\})/g, "⦄"],
  [/\\(?:cdot|times|ast)(?![a-z])|[×·∙⋅∗]/g, "*"],
  [/\\div(?![a-z])|[÷⁄∕]/g, "/"],
  [/[−–—]/g, "-"],
  [/[½⅓⅔¼¾⅕⅙⅛⅜⅝⅞]/g, (sign) => ` ${VULGAR[sign]} `],
  [/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (signs) => `^{${[...signs].map((it) => SUPERSCRIPTS.indexOf(it)).join("")}}`],
  [/√/g, "\\sqrt "],
  [/(?:\\|(?<![A-Za-z]))pi(?![A-Za-z])/g, " π "],
  [/\\infty|(?<![A-Za-z])(?:infinity|inf)(?![A-Za-z])/gi, " ∞ "],
  [/\\pm(?![a-z])|\+\/-/g, "±"],
  [/\\cup(?![a-z])/g, "∪"],
  [/\\in(?![a-z])/g, "∈"],
  [/\\(?:leqslant|leq?)(?![a-z])|<=/g, "≤"],
  [/\\(?:geqslant|geq?)(?![a-z])|>=/g, "≥"],
  [/\\neq?(?![a-z])|!=/g, "≠"],
  [/\\lt(?![a-z])/g, "<"],
  [/\\gt(?![a-z])/g, ">"],
  [/\\%|％/g, "%"],
  [/(\d)\s*[xX]\s*(?=10\s*\^)/g, "$1*"],
  [/\*\*/g, "^"],
];

/** \text{cm} says cm; the fonts of what is inside are as many as there are levels. */
function withoutFonts(text: string): string {
  const names =
    "text(?:bf|it|rm|normal)?|math(?:rm|bf|it|bb|sf|cal)|mbox|operatorname|boldsymbol|f?box(?:ed)?";
  const font = new RegExp(`\\\\(?:${names})\\s*\\{([^{}]*)\\}`, "g");
  let plain = text;
  for (let level = 0; level < 8 && plain.includes("\\"); level++)
    plain = plain.replace(font, " $1 ");
  return plain;
}

const withoutEnd = (text: string): string => text.replace(/[\s.,;]+$/, "");

/**
 * For what is not understood: without braces around one sign, and without spaces but those that
 * part two numbers.
 */
export function normalText(cleaned: string): string {
  const isWords = /^[\p{L}\s.'-]{2,}$/u.test(cleaned);
  if (isWords) return cleaned.toLowerCase();
  return cleaned.replace(/\{([^{}\\])\}/g, "$1").replace(/(?<!\d)\s+|\s+(?!\d)/g, "");
}
