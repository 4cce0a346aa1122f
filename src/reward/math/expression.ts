// A cleaned expression to its value, by recursive descent. Throws CannotTell for whatever is not a
// simple closed form. Not here: lists, relations, units (form.ts).
//
//   sum     = ["+" | "-"] product {("+" | "-") product}
//   product = factor {["*" | "/"] factor}            a missing operator multiplies
//   factor  = "-" factor | atom {"!" | "%"} ["^" exponent]
//   atom    = number | mixed number | name | (sum) | \frac.. | \sqrt.. | function | |sum|

import { type Budget, CannotTell, LIMITS } from "./budget.ts";
import { readNumber } from "./number.ts";
import { isInteger, rational, type Rational } from "./rational.ts";
import { FUNCTIONS, type Token, tokens } from "./tokens.ts";
import { Arithmetic, ofAtom, ofInteger, ofRational, textOf, type Value } from "./value.ts";

export function readExpression(text: string, budget: Budget): Value {
  const reader = new Reader(tokens(text), new Arithmetic(budget));
  return reader.all();
}

const CLOSERS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
const END: Token = { kind: "operator", text: "", spaced: false };

class Reader {
  private at = 0;
  private depth = 0;

  constructor(
    private readonly tokens: Token[],
    private readonly arithmetic: Arithmetic,
  ) {}

  all(): Value {
    const value = this.sum();
    if (this.at < this.tokens.length) throw new CannotTell(`"${this.next.text}" is not expected`);
    return value;
  }

  private get next(): Token {
    return this.tokens[this.at] ?? END;
  }

  private peek(offset: number): Token {
    return this.tokens[this.at + offset] ?? END;
  }

  private isNext(...operators: readonly string[]): boolean {
    return this.next.kind === "operator" && operators.includes(this.next.text);
  }

  private take(operator: string): boolean {
    if (!this.isNext(operator)) return false;
    this.at++;
    return true;
  }

  private expect(operator: string): void {
    if (!this.take(operator)) throw new CannotTell(`"${operator}" is missing`);
  }

  /** Reads below the present level, so that brackets cannot exhaust the stack. */
  private within<T>(read: () => T): T {
    if (++this.depth > LIMITS.depth) throw new CannotTell("too deep");
    const result = read();
    this.depth--;
    return result;
  }

  private sum(): Value {
    return this.within(() => {
      let value = this.product();
      while (this.isNext("+", "-")) {
        const isMinus = this.tokens[this.at++]!.text === "-";
        const other = this.product();
        value = this.arithmetic.add(value, isMinus ? this.arithmetic.negate(other) : other);
      }
      return value;
    });
  }

  private product(): Value {
    let value = this.factor();
    for (;;) {
      if (this.take("*")) value = this.arithmetic.multiply(value, this.factor());
      else if (this.take("/")) value = this.arithmetic.divide(value, this.factor());
      else if (this.startsFactor()) value = this.arithmetic.multiply(value, this.factor());
      else return value;
    }
  }

  /** A number right after another one is no product. */
  private startsFactor(): boolean {
    const { kind, text } = this.next;
    if (kind === "number") {
      if (this.peek(-1).kind === "number") throw new CannotTell("two numbers");
      return true;
    }
    return kind === "name" || (kind === "operator" && ["(", "[", "{"].includes(text));
  }

  private factor(): Value {
    return this.within(() => {
      if (this.take("-")) return this.arithmetic.negate(this.factor());
      if (this.take("+")) return this.factor();
      let value = this.atom();
      for (;;) {
        if (this.take("!")) value = this.factorial(value);
        else if (this.take("%")) value = this.arithmetic.divide(value, ofInteger(100n));
        else if (this.take("^")) return this.arithmetic.power(value, this.exponent());
        else return value;
      }
    });
  }

  private exponent(): Value {
    if (this.take("-")) return this.arithmetic.negate(this.exponent());
    if (this.isNext("{", "(")) return this.bracketed();
    return this.atom();
  }

  private atom(): Value {
    const token = this.next;
    if (token.kind === "number") return this.number();
    if (token.kind === "name") return this.name();
    if (this.isNext("(", "[", "{")) return this.bracketed();
    if (this.take("|")) return this.absolute();
    throw new CannotTell(`"${token.text}" is not expected`);
  }

  private bracketed(): Value {
    const opener = this.tokens[this.at++]?.text ?? "";
    const value = this.sum();
    this.expect(CLOSERS[opener] ?? "");
    return value;
  }

  private absolute(): Value {
    const value = this.sum();
    this.expect("|");
    const number = this.arithmetic.rational(value);
    if (number === undefined) throw new CannotTell("an absolute value of an expression");
    return number.n < 0n ? this.arithmetic.negate(value) : value;
  }

  /** `1 1/2` and `1\frac{1}{2}` are mixed numbers: a proper fraction of digits after digits. */
  private number(): Value {
    const whole = readNumber(this.tokens[this.at++]!.text);
    const part = isInteger(whole) ? this.properFraction() : undefined;
    if (part === undefined) return ofRational(whole);
    return this.arithmetic.add(ofRational(whole), ofRational(part));
  }

  private properFraction(): Rational | undefined {
    const [first, second, third] = [this.next, this.peek(1), this.peek(2)];
    if (first.kind === "number" && second.text === "/" && third.kind === "number") {
      const part = first.spaced ? proper(first.text, third.text) : undefined;
      if (part !== undefined) this.at += 3;
      return part;
    }
    if (first.kind !== "name" || first.text !== "frac") return undefined;
    const texts = Array.from({ length: 7 }, (_, index) => this.peek(index).text);
    const [, open, above, close, reopen, below, last] = texts;
    if (`${open}${close}${reopen}${last}` !== "{}{}") return undefined;
    const part = proper(above!, below!);
    if (part !== undefined) this.at += 7;
    return part;
  }

  private name(): Value {
    const { text } = this.tokens[this.at++]!;
    if (text === "frac") {
      const above = this.argument();
      return this.arithmetic.divide(above, this.argument());
    }
    if (text === "sqrt") return this.root();
    if (text === "binom") return this.binomial();
    if (FUNCTIONS.has(text)) return this.call(text);
    if (COMMANDS_UNREAD.test(text)) throw new CannotTell(`\\${text} is not read`);
    return ofAtom(`${text}${this.subscript()}`);
  }

  private subscript(): string {
    if (!this.take("_")) return "";
    if (!this.take("{")) return `_${this.tokens[this.at++]?.text ?? ""}`;
    const start = this.at;
    while (this.at < this.tokens.length && !this.isNext("}")) this.at++;
    const inside = this.tokens.slice(start, this.at).map(({ text }) => text);
    this.expect("}");
    return `_${inside.join("")}`;
  }

  /** Of a command: in braces, or one digit, letter or command. \frac12 is a half. */
  private argument(): Value {
    if (this.isNext("{")) return this.bracketed();
    const { kind, text, spaced } = this.next;
    if (kind !== "number" || text.length === 1) return this.within(() => this.atom());
    if (!/^\d\d$/.test(text)) throw new CannotTell("an argument without braces");
    this.tokens[this.at] = { kind, text: text.slice(1), spaced };
    return ofInteger(BigInt(text[0]!));
  }

  private root(): Value {
    let degree = 2;
    if (this.take("[")) {
      const value = this.arithmetic.rational(this.sum());
      this.expect("]");
      if (value === undefined || !isInteger(value) || value.n < 2n || value.n > 64n) {
        throw new CannotTell("a root of an odd degree");
      }
      degree = Number(value.n);
    }
    const isPlain = this.isNext("(", "{") || this.next.kind !== "number";
    const of = isPlain ? this.argument() : this.number();
    return this.arithmetic.root(of, degree);
  }

  /** Kept by name, with its argument in normal form. */
  private call(name: string): Value {
    const base = name === "log" ? this.subscript() : "";
    const power = this.take("^") ? this.exponent() : undefined;
    const argument = this.isNext("(", "{") ? this.bracketed() : this.within(() => this.factors());
    if (name === "exp") return this.arithmetic.power(ofAtom("e"), argument);
    const value = ofAtom(`${name}${base}(${textOf(argument)})`);
    return power === undefined ? value : this.arithmetic.power(value, power);
  }

  /** The argument of \sin 2x: factors up to an operator or another function. */
  private factors(): Value {
    let value = this.factor();
    while (this.startsFactor() && !FUNCTIONS.has(this.next.text)) {
      value = this.arithmetic.multiply(value, this.factor());
    }
    return value;
  }

  private factorial(of: Value): Value {
    return ofInteger(this.falling(this.count(of), this.count(of)));
  }

  private binomial(): Value {
    const n = this.count(this.argument());
    const k = this.count(this.argument());
    return ofRational(rational(k > n ? 0n : this.falling(n, k), this.falling(k, k)));
  }

  /** n (n-1) ... of k factors. */
  private falling(n: bigint, k: bigint): bigint {
    let product = 1n;
    for (let i = 0n; i < k; i++) product *= n - i;
    return product;
  }

  private count(of: Value): bigint {
    const number = this.arithmetic.rational(of);
    const isCount = number !== undefined && isInteger(number) && number.n >= 0n && number.n <= 300n;
    if (!isCount) throw new CannotTell("no small whole number");
    return number.n;
  }
}

/** Commands that are more than a name. */
const COMMANDS_UNREAD =
  /^(?:begin|end|sum|int|prod|lim|over|overline|mod|pmod|bmod|ldots|dots|cdots|to|mid)$/;

function proper(above: string, below: string): Rational | undefined {
  if (!/^\d{1,9}$/.test(above) || !/^\d{1,9}$/.test(below)) return undefined;
  const [n, d] = [BigInt(above), BigInt(below)];
  return n < d ? rational(n, d) : undefined;
}
