// Whether two written answers are the same mathematics. Exact: no floating point, no tolerance.
// Symmetric, but not transitive, since a unit or a name before `=` may be left out: 5 cm = 5 = 5 m.
// What cannot be told (too large, too long, not understood) is equal only letter by letter.

import { Budget, CannotTell } from "./budget.ts";
import { clean, normalText } from "./clean.ts";
import { type Form, readForm } from "./form.ts";
import { Arithmetic } from "./value.ts";

export function mathEquals(a: string, b: string): boolean {
  if (a.trim() === "" || b.trim() === "") return false;
  if (a.trim() === b.trim()) return true;
  return told(() => {
    const [one, other] = [clean(a), clean(b)];
    if (one !== "" && normalText(one) === normalText(other)) return true;
    const [left, right] = [one, other].map((each) => readForm(each, new Budget()));
    return new Comparison().equal(left!, right!);
  });
}

/** false where it cannot be told. */
function told(decide: () => boolean): boolean {
  try {
    return decide();
  } catch (error) {
    if (error instanceof CannotTell) return false;
    throw error;
  }
}

class Comparison {
  private readonly budget = new Budget();
  private readonly arithmetic = new Arithmetic(this.budget);

  equal(a: Form, b: Form): boolean {
    this.budget.spend(1);
    if (a.kind === "named" && b.kind === "named")
      return a.name === b.name && this.equal(a.of, b.of);
    if (a.kind === "named") return this.equal(a.of, b);
    if (b.kind === "named") return this.equal(a, b.of);
    if (a.kind === "value" && b.kind === "value") {
      const isSameUnit = a.unit === undefined || b.unit === undefined || a.unit === b.unit;
      return isSameUnit && this.arithmetic.equal(a.value, b.value);
    }
    if (a.kind === "value" || b.kind === "value" || a.kind !== b.kind) return false;
    if (a.kind === "tuple" && b.kind === "tuple" && a.brackets !== b.brackets) return false;
    if (a.kind === "relation" && b.kind === "relation" && a.signs !== b.signs) return false;
    const inOrder = a.kind === "tuple" || a.kind === "relation";
    return inOrder ? this.sameOrder(a.items, b.items) : this.sameMembers(a.items, b.items);
  }

  private sameOrder(a: readonly Form[], b: readonly Form[]): boolean {
    return a.length === b.length && a.every((item, index) => this.equal(item, b[index]!));
  }

  /** Each has its like in the other: repeated ones count once. */
  private sameMembers(a: readonly Form[], b: readonly Form[]): boolean {
    const isIn = (item: Form, all: readonly Form[]): boolean =>
      all.some((other) => this.equal(item, other));
    return a.every((item) => isIn(item, b)) && b.every((item) => isIn(item, a));
  }
}
