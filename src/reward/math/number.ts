// A decimal as it is written to the exact rational that it means: 2.50, .5, 3e-4, 0.\overline{3}.

import { CannotTell } from "./budget.ts";
import { add, multiply, power, type Rational, rational } from "./rational.ts";
import { requireShort } from "./tokens.ts";

const TEN = rational(10n);
const shape = /^(\d*)\.?(\d*)(?:\\overline\{(\d+)\})?(?:[eE]([+-]?\d+))?$/;

export function readNumber(text: string): Rational {
  requireShort(text);
  const [, whole = "", decimals = "", repeating = "", exponent = "0"] = shape.exec(text) ?? [];
  const digits = BigInt(`${whole}${decimals}` || "0");
  const shift = (by: number): Rational => power(TEN, BigInt(by));
  let value = multiply(rational(digits), shift(-decimals.length));
  if (repeating !== "") {
    if (!text.includes(".")) throw new CannotTell("a bar over a whole number");
    const period = rational(BigInt(repeating), 10n ** BigInt(repeating.length) - 1n);
    value = add(value, multiply(period, shift(-decimals.length)));
  }
  if (exponent.length > 6) throw new CannotTell("a huge exponent");
  return multiply(value, shift(Number(exponent)));
}
