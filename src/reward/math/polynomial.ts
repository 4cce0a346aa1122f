// Sums of products: rational coefficient x square root of an integer x powers of atoms. Atoms are
// variables, pi, e, i, and whatever is not taken apart (a sine, a root of a sum), known by name.
// Square roots of different square-free integers are independent, so equal sums have equal terms.

import { type Budget, CannotTell, LIMITS } from "./budget.ts";
import * as q from "./rational.ts";
import type { Rational } from "./rational.ts";

export interface Term {
  readonly coefficient: Rational; // never 0
  readonly radicand: bigint; // square-free where it could be taken apart; 1 without a root
  readonly powers: ReadonlyMap<string, number>; // never 0
}
/** Terms by what they are but for their coefficient. Empty means 0. */
export type Polynomial = ReadonlyMap<string, Term>;

export function constant(value: Rational): Polynomial {
  return sumOf([{ coefficient: value, radicand: 1n, powers: new Map() }]);
}

export function atom(name: string): Polynomial {
  return sumOf([{ coefficient: q.ONE, radicand: 1n, powers: new Map([[name, 1]]) }]);
}

/** coefficient x the square root of an integer above 0. */
export function surd(coefficient: Rational, n: bigint, budget: Budget): Polynomial {
  budget.spend(1000);
  const { outside, inside } = q.extractPower(n, 2);
  const factor = q.multiply(coefficient, q.rational(outside));
  return sumOf([{ coefficient: factor, radicand: inside, powers: new Map() }]);
}

export function plus(a: Polynomial, b: Polynomial, budget: Budget): Polynomial {
  budget.spend(a.size + b.size);
  return sumOf([...a.values(), ...b.values()]);
}

export function times(a: Polynomial, b: Polynomial, budget: Budget): Polynomial {
  budget.spend(4 * a.size * b.size + 1);
  const products = [...a.values()].flatMap((x) => [...b.values()].map((y) => product(x, y)));
  return sumOf(products);
}

export function scaled(a: Polynomial, factor: Rational): Polynomial {
  const terms = [...a.values()];
  return sumOf(
    terms.map((term) => ({ ...term, coefficient: q.multiply(term.coefficient, factor) })),
  );
}

export const negated = (a: Polynomial): Polynomial => scaled(a, q.rational(-1n));

/** The number that it is; undefined where roots or atoms are left. */
export function rationalValue(a: Polynomial): Rational | undefined {
  if (a.size === 0) return q.ZERO;
  const [term] = a.values();
  const isPlain = a.size === 1 && term!.radicand === 1n && term!.powers.size === 0;
  return isPlain ? term!.coefficient : undefined;
}

/** The coefficient of the first term in the order of their names. Not of 0. */
export function leading(a: Polynomial): Rational {
  const first = [...a.keys()].toSorted()[0]!;
  return a.get(first)!.coefficient;
}

/** Equal sums have equal texts. */
export function textOf(a: Polynomial): string {
  const terms = [...a].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return terms
    .map(
      ([
        key,
        {
          coefficient: { n, d },
        },
      ]) => `${n}/${d} ${key}`,
    )
    .join(" + ");
}

function sumOf(terms: readonly Term[]): Polynomial {
  const sum = new Map<string, Term>();
  for (const term of terms) {
    const key = keyOf(term);
    const before = sum.get(key)?.coefficient ?? q.ZERO;
    const coefficient = q.add(before, term.coefficient);
    if (coefficient.n === 0n) sum.delete(key);
    else sum.set(key, { ...term, coefficient });
  }
  if (sum.size > LIMITS.terms) throw new CannotTell("a long sum");
  return sum;
}

function keyOf({ radicand, powers }: Term): string {
  const factors = [...powers].map(([name, power]) => `${name}^${power}`).toSorted();
  return [`√${radicand}`, ...factors].join(" ");
}

function product(a: Term, b: Term): Term {
  const shared = q.gcd(a.radicand, b.radicand);
  const powers = new Map(a.powers);
  for (const [name, power] of b.powers) powers.set(name, (powers.get(name) ?? 0) + power);
  const sign = withoutImaginary(powers);
  for (const [name, power] of powers) if (power === 0) powers.delete(name);
  const plain = q.multiply(a.coefficient, b.coefficient);
  return {
    coefficient: q.multiply(plain, q.rational(sign * shared)),
    radicand: (a.radicand / shared) * (b.radicand / shared),
    powers,
  };
}

/** i^2 = -1: leaves i^0 or i^1 and returns the sign. */
function withoutImaginary(powers: Map<string, number>): bigint {
  const times = (powers.get("i") ?? 0) & 3;
  if (powers.has("i")) powers.set("i", times & 1);
  return times >= 2 ? -1n : 1n;
}
