// Exact rationals: no floating point anywhere. Numerators and denominators are bounded.

import { CannotTell, LIMITS } from "./budget.ts";

/** In lowest terms; `d` is positive. */
export interface Rational {
  readonly n: bigint;
  readonly d: bigint;
}

const BOUND = 1n << BigInt(LIMITS.bits);

export function rational(n: bigint, d: bigint = 1n): Rational {
  if (d === 0n) throw new CannotTell("division by zero");
  const sign = d < 0n ? -1n : 1n;
  const divisor = d === 1n ? 1n : gcd(abs(n), abs(d));
  return bounded({ n: (sign * n) / divisor, d: (sign * d) / divisor });
}

export const ZERO: Rational = { n: 0n, d: 1n };
export const ONE: Rational = { n: 1n, d: 1n };

export const add = (a: Rational, b: Rational): Rational =>
  rational(a.n * b.d + b.n * a.d, a.d * b.d);
export const multiply = (a: Rational, b: Rational): Rational => rational(a.n * b.n, a.d * b.d);
export const negate = ({ n, d }: Rational): Rational => ({ n: -n, d });
export const inverse = ({ n, d }: Rational): Rational => rational(d, n);
export const isInteger = ({ d }: Rational): boolean => d === 1n;

export function power(base: Rational, exponent: bigint): Rational {
  if (exponent < 0n) return power(inverse(base), -exponent);
  const bits = BigInt(Math.max(bitLength(base.n), bitLength(base.d)));
  const isUnit = base.d === 1n && abs(base.n) <= 1n;
  if (!isUnit && bits * exponent > BigInt(LIMITS.bits)) throw new CannotTell("a huge power");
  if (isUnit) return base.n === -1n && exponent % 2n === 0n ? ONE : exponent === 0n ? ONE : base;
  return { n: base.n ** exponent, d: base.d ** exponent };
}

/** The largest integer whose k-th power is not above n; n >= 0. Newton's method. */
export function integerRoot(n: bigint, k: bigint): bigint {
  if (n < 2n) return n;
  let root = 1n << BigInt(Math.ceil(bitLength(n) / Number(k)));
  for (;;) {
    const next = ((k - 1n) * root + n / root ** (k - 1n)) / k;
    if (next >= root) return root;
    root = next;
  }
}

/**
 * n = outside^k * inside with the least `inside`, for n > 0. Where n is too large to be taken
 * apart, `inside` is n itself, unless n is a whole k-th power.
 */
export function extractPower(n: bigint, k: number): { outside: bigint; inside: bigint } {
  const whole = integerRoot(n, BigInt(k));
  if (whole ** BigInt(k) === n) return { outside: whole, inside: 1n };
  if (n > BigInt(LIMITS.factored)) return { outside: 1n, inside: n };
  let rest = Number(n);
  let [outside, inside] = [1n, 1n];
  // What is left after the primes up to its (k+1)-th root has no k-th power but perhaps itself.
  const highest = (): number => Math.floor(rest ** (1 / (k + 1))) + 1;
  for (let p = 2, end = highest(); p <= end; p++) {
    if (rest % p !== 0) continue;
    let times = 0;
    for (; rest % p === 0; times++) rest /= p;
    outside *= BigInt(p) ** BigInt(Math.floor(times / k));
    inside *= BigInt(p) ** BigInt(times % k);
    end = highest();
  }
  const last = integerRoot(BigInt(rest), BigInt(k));
  if (last ** BigInt(k) === BigInt(rest)) return { outside: outside * last, inside };
  return { outside, inside: inside * BigInt(rest) };
}

export function abs(n: bigint): bigint {
  return n < 0n ? -n : n;
}

export function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

const bitLength = (n: bigint): number => abs(n).toString(16).length * 4;

function bounded(value: Rational): Rational {
  if (abs(value.n) < BOUND && value.d < BOUND) return value;
  throw new CannotTell("a huge number");
}
