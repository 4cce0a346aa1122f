import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { lastBoxed } from "../../src/reward/math/boxed.ts";
import { mathEquals } from "../../src/reward/math/equal.ts";
import pairs from "../golden/math-pairs.json";
import disputed from "../golden/math-verify.json";

setDefaultTimeout(60_000); // for a busy machine

describe("pairs of answers", () => {
  test.each(pairs.map(({ equal, about, a, b }) => [about, a, equal ? "=" : "!=", b] as const))(
    "%s: %j %s %j",
    (_, a, sign, b) => {
      expect(mathEquals(a, b)).toBe(sign === "=");
      expect(mathEquals(b, a)).toBe(sign === "=");
    },
  );

  test("math-verify judges most of them the same, and the others are known", () => {
    const known = disputed.filter((pair) => pairs.some((each) => Bun.deepEquals(each, pair)));
    expect(known).toHaveLength(disputed.length);
    expect(disputed.length).toBeLessThan(pairs.length / 5);
  });
});

const whole = fc.integer({ min: -1_000_000, max: 1_000_000 });
const natural = fc.integer({ min: 1, max: 999_999 });

/** Notations of the number n/d. */
function notations(n: number, d: number): string[] {
  const [sign, size] = [n < 0 ? "-" : "", Math.abs(n)];
  const mixed = `${sign}${Math.floor(size / d)} ${size % d}/${d}`;
  return [
    `${n}/${d}`,
    `\\frac{${n}}{${d}}`,
    `${sign}\\dfrac{${size}}{${d}}`,
    `$\\tfrac{${3 * n}}{${3 * d}}$`,
    `\\boxed{\\frac{${-n}}{${-d}}}`,
    `x = \\left(${n} / ${d}\\right)`,
    `\\frac{${100 * n}}{${d}}\\%`,
    `${n} \\times ${d}^{-1}`,
    ...(size >= d && size % d > 0 ? [mixed] : []),
  ];
}

/** Notations of an integer. */
function integerNotations(n: number): string[] {
  const grouped = (separator: string): string =>
    String(n).replace(/\B(?=(\d{3})+$)/g, () => separator);
  return [
    String(n),
    `${n}.0`,
    grouped(","),
    grouped(" "),
    grouped("\\,"),
    grouped("{,}"),
    `${n}00\\%`,
    `${n}^\\circ`,
    `${n} \\text{ cm}`,
    `${n}e0`,
    `\\text{${n}}`,
  ];
}

const pick = (all: readonly string[]) => fc.constantFrom(...all);
const twoOf = (all: readonly string[]) => fc.tuple(pick(all), pick(all));

describe("properties", () => {
  test("a fraction is equal to itself in any notation", () => {
    const two = fc.tuple(whole, natural).chain(([n, d]) => twoOf(notations(n, d)));
    fc.assert(fc.property(two, ([a, b]) => mathEquals(a, b)));
  });

  test("an integer is equal to itself in any notation", () => {
    fc.assert(
      fc.property(
        whole.chain((n) => twoOf(integerNotations(n))),
        ([a, b]) => mathEquals(a, b),
      ),
    );
  });

  test("a decimal is the fraction that it says, and no other", () => {
    fc.assert(
      fc.property(whole, fc.integer({ min: 1, max: 6 }), (n, places) => {
        const digits = String(Math.abs(n)).padStart(places + 1, "0");
        const decimal = `${n < 0 ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`;
        expect(mathEquals(decimal, `${n}/${10 ** places}`)).toBe(true);
        expect(mathEquals(decimal, `${n + 1}/${10 ** places}`)).toBe(false);
      }),
    );
  });

  test("different rationals are never equal, however they are written", () => {
    const rational = fc.tuple(whole, natural);
    const two = fc
      .tuple(rational, rational)
      .filter(([[a, b], [c, d]]) => BigInt(a) * BigInt(d) !== BigInt(c) * BigInt(b))
      .chain(([[a, b], [c, d]]) => fc.tuple(pick(notations(a, b)), pick(notations(c, d))));
    fc.assert(fc.property(two, ([a, b]) => !mathEquals(a, b)));
  });

  test("rationals that differ in the last of many digits are different", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 10n ** 20n, max: 10n ** 60n }), (n) => {
        expect(mathEquals(`${n}/7`, `${n + 1n}/7`)).toBe(false);
      }),
    );
  });

  test("a surd is equal to itself with its square factors outside", () => {
    const small = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(
        small,
        small,
        (k, n) =>
          mathEquals(`\\sqrt{${k * k * n}}`, `${k}\\sqrt{${n}}`) &&
          mathEquals(`\\frac{${k}}{\\sqrt{${n}}}`, `\\frac{${k}\\sqrt{${n}}}{${n}}`),
      ),
    );
  });

  test("two texts of pieces of mathematics are judged without an error, and either way round", () => {
    const pieces =
      "1 2 12 0 . , x y + - * / ^ { } ( ) [ ] \\frac \\sqrt \\pi \\boxed{ $ % ! | = < cm and \\{ \\} ± e i";
    const text = fc.array(pick(pieces.split(" ")), { maxLength: 12 }).map((all) => all.join(""));
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(mathEquals(a, b)).toBe(mathEquals(b, a));
        expect(mathEquals(a, a)).toBe(a.trim() !== "");
      }),
      { numRuns: 400 },
    );
  });

  test("any text at all is judged without an error", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (a, b) => {
        expect(mathEquals(a, b)).toBe(mathEquals(b, a));
      }),
    );
  });
});

// Each of these would take seconds, or for ever, if it were worked out.
describe("hostile answers are told apart from 5 at little cost", () => {
  const hostile: Readonly<Record<string, string>> = {
    "a tower of powers": "9^{9^{9^{9}}}",
    "a long tower of powers": `${"2^".repeat(900)}2`,
    "a huge exponent": "1e999999",
    "a large power of a sum": "(x+y+z)^{60}",
    "powers of sums in roots in powers": `${"(x+\\sqrt{".repeat(9)}x${"})^{9}".repeat(9)}`,
    "many brackets": "(".repeat(1000) + ")".repeat(1000),
    "brackets never closed": "\\sqrt{".repeat(300),
    "boxes never closed": "\\boxed{".repeat(250),
    "many digits": "9".repeat(2000),
    "numbers in groups without end": `1${" 000".repeat(400)}`,
    "many roots of a number hard to take apart": "\\sqrt{999999999989}+".repeat(90) + "1",
    "factorials of factorials": "299!!!!",
    "a long list": "1,".repeat(900) + "1",
    "many units": `5${" m".repeat(900)}q`,
    "letters without end": `5 ${"a".repeat(60)}!`,
    "many signs": "-".repeat(1999),
    "a text that is too long": "1+".repeat(100_000),
  };
  test.each(Object.entries(hostile))("%s", (_, answer) => {
    expect(mathEquals(answer, "5")).toBe(false);
    expect(mathEquals("5", answer)).toBe(false);
  });
});

describe("lastBoxed", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["nested braces", "\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"],
    ["the last of several", "\\boxed{1} then \\boxed{2}", "2"],
    ["the inner of nested ones", "\\boxed{\\boxed{3}}", "3"],
    ["an escaped brace is no brace", "\\boxed{\\{1\\}}", "\\{1\\}"],
    ["one that is closed before one that is not", "\\boxed{1} \\boxed{2", "1"],
    ["one inside another that is not closed", "\\boxed{ \\boxed{2}", "2"],
    ["none", "boxed 5", undefined],
  ];
  test.each(cases)("%s", (_, text, content) => {
    expect(lastBoxed(text)?.content).toBe(content);
  });
});
