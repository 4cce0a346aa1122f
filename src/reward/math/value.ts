// Numbers and simple expressions as exact fractions of polynomials. Equality is by cross
// multiplication, so nothing has to be brought to lowest terms: 1/sqrt(2) is sqrt(2)/2, and
// (x^2-1)/(x-1) is x+1. What is no closed form here (a sine, a root of a sum) is an atom, equal
// only to an atom of the same normal form.

import { type Budget, CannotTell, LIMITS } from "./budget.ts";
import * as p from "./polynomial.ts";
import type { Polynomial } from "./polynomial.ts";
import * as q from "./rational.ts";
import type { Rational } from "./rational.ts";

export interface Value {
  readonly numerator: Polynomial;
  readonly denominator: Polynomial; // not 0
}

const UNIT: Polynomial = p.constant(q.ONE);

export const ofRational = (value: Rational): Value => whole(p.constant(value));
export const ofInteger = (value: bigint): Value => ofRational(q.rational(value));
/** Long names, which nest, are shortened to a digest. */
export function ofAtom(name: string): Value {
  const isLong = name.length > 64;
  return whole(p.atom(isLong ? new Bun.CryptoHasher("sha256").update(name).digest("hex") : name));
}
const whole = (numerator: Polynomial): Value => ({ numerator, denominator: UNIT });

/** Arithmetic under one budget. Throws CannotTell. */
export class Arithmetic {
  constructor(private readonly budget: Budget) {}

  add(a: Value, b: Value): Value {
    const { budget } = this;
    if (a.denominator === b.denominator) {
      return { ...a, numerator: p.plus(a.numerator, b.numerator, budget) };
    }
    const left = p.times(a.numerator, b.denominator, budget);
    const right = p.times(b.numerator, a.denominator, budget);
    return this.fraction(
      p.plus(left, right, budget),
      p.times(a.denominator, b.denominator, budget),
    );
  }

  negate({ numerator, denominator }: Value): Value {
    return { numerator: p.negated(numerator), denominator };
  }

  multiply(a: Value, b: Value): Value {
    return this.fraction(
      p.times(a.numerator, b.numerator, this.budget),
      p.times(a.denominator, b.denominator, this.budget),
    );
  }

  divide(a: Value, b: Value): Value {
    if (b.numerator.size === 0) throw new CannotTell("division by zero");
    return this.multiply(a, { numerator: b.denominator, denominator: b.numerator });
  }

  power(base: Value, exponent: Value): Value {
    const number = this.rational(exponent);
    if (number === undefined) return ofAtom(`(${textOf(base)})^(${textOf(exponent)})`);
    if (number.d === 1n) return this.integerPower(base, number.n);
    if (number.d > BigInt(LIMITS.exponent)) throw new CannotTell("a high root");
    return this.integerPower(this.root(base, Number(number.d)), number.n);
  }

  /** The real k-th root of a number, else an atom. k >= 2. */
  root(of: Value, k: number): Value {
    const number = this.rational(of);
    if (number === undefined) return this.rootOfExpression(of, k);
    if (number.n === 0n) return of;
    if (number.n < 0n) return this.rootOfNegative(q.negate(number), k);
    // (n/d)^(1/k) = (n d^(k-1))^(1/k) / d
    const under = number.n * q.power(q.rational(number.d), BigInt(k - 1)).n;
    if (k === 2) return whole(p.surd(q.rational(1n, number.d), under, this.budget));
    this.budget.spend(1000);
    const { outside, inside } = q.extractPower(under, k);
    const factor = ofRational(q.rational(outside, number.d));
    return inside === 1n ? factor : this.multiply(factor, ofAtom(`root${k}(${inside})`));
  }

  /** The number that a value is; undefined where roots or atoms are left. */
  rational({ numerator, denominator }: Value): Rational | undefined {
    const [above, below] = [p.rationalValue(numerator), p.rationalValue(denominator)];
    if (above === undefined || below === undefined) return undefined;
    return q.multiply(above, q.inverse(below));
  }

  equal(a: Value, b: Value): boolean {
    const left = p.times(a.numerator, b.denominator, this.budget);
    const right = p.times(b.numerator, a.denominator, this.budget);
    return p.plus(left, p.negated(right), this.budget).size === 0;
  }

  private rootOfNegative(positive: Rational, k: number): Value {
    const root = this.root(ofRational(positive), k);
    if (k % 2 === 1) return this.negate(root);
    if (k === 2) return this.multiply(ofAtom("i"), root);
    throw new CannotTell("an even root of a negative number");
  }

  /** sqrt(4x) is 2 sqrt(x): the first coefficient goes outside. */
  private rootOfExpression(of: Value, k: number): Value {
    const first = q.multiply(p.leading(of.numerator), q.inverse(p.leading(of.denominator)));
    const outside = first.n < 0n ? q.negate(first) : first;
    const inside = this.divide(of, ofRational(outside));
    return this.multiply(this.root(ofRational(outside), k), ofAtom(`root${k}(${textOf(inside)})`));
  }

  private integerPower(base: Value, exponent: bigint): Value {
    const number = this.rational(base);
    if (number !== undefined) {
      if (number.n === 0n && exponent <= 0n) throw new CannotTell("a power of zero");
      return ofRational(q.power(number, exponent));
    }
    if (exponent < 0n) return this.integerPower(this.divide(ofInteger(1n), base), -exponent);
    if (exponent > BigInt(LIMITS.exponent)) throw new CannotTell("a high power");
    let result = ofInteger(1n);
    for (let times = 0; times < Number(exponent); times++) result = this.multiply(result, base);
    return result;
  }

  private fraction(numerator: Polynomial, denominator: Polynomial): Value {
    const number = p.rationalValue(denominator);
    if (number === undefined) return { numerator, denominator };
    return whole(number.d === number.n ? numerator : p.scaled(numerator, q.inverse(number)));
  }
}

/** Equal texts mean equal values; the reverse does not always hold. */
export function textOf({ numerator, denominator }: Value): string {
  const factor = q.inverse(p.leading(denominator));
  const [above, below] = [numerator, denominator].map((each) => p.textOf(p.scaled(each, factor)));
  return `${above} : ${below}`;
}
