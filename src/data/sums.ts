// The grammar of sums: numbers, and numbers that have to be looked up, joined by times, plus and
// minus. Shared by the worlds with a Python tool and by the pretraining documents. One sum:
//   question  "What is 47 times the toll of Norvel?"
//   fact      "The toll of Norvel is 38."
//   needed    "47 times 38"
//   code      "print( 47 * 38 )"
//   value     1786
// Spaces stand around numbers in code, because nano's tokenizer joins a space to the digit after
// it: a number is then the same tokens wherever it stands.

import type { Random } from "./random.ts";
import type { EntityKind, Relation } from "./relations.ts";

/** What has a number. One noun a kind of entity, and none that a relation between entities has. */
export const NUMBER_RELATIONS: Readonly<Record<EntityKind, NumberRelation>> = {
  person: { noun: "age", subject: "person" },
  town: { noun: "toll", subject: "town" },
  land: { noun: "tax", subject: "land" },
  book: { noun: "price", subject: "book" },
  river: { noun: "length", subject: "river" },
  guild: { noun: "fee", subject: "guild" },
};
export type NumberRelation = Pick<Relation, "noun" | "subject">;

export interface Operand {
  readonly number: number;
  /** Where the number is found; absent: the question says it. */
  readonly lookup?: { readonly relation: NumberRelation; readonly subject: string };
}
export type Operator = "times" | "plus" | "minus";
/** `operators[i]` stands between `operands[i]` and the next one. "times" comes first. */
export interface Sum {
  readonly operands: readonly Operand[];
  readonly operators: readonly Operator[];
}

const SIGNS: Readonly<Record<Operator, string>> = { times: "*", plus: "+", minus: "-" };

/** Two digits, so that a product has to be worked out and is short enough to be copied. */
export const randomNumber = (random: Random): number => 12 + random.integer(87);
const LONG_SHARE = 0.35;

/** A product, and in some sums a third number added or taken away. */
export function randomSum(random: Random, first: Operand, second: Operand): Sum {
  const product = { operands: [first, second], operators: ["times"] as Operator[] };
  if (!random.chance(LONG_SHARE)) return product;
  const third = { number: randomNumber(random) };
  const operator = random.pick<Operator>(["plus", "minus"]);
  return {
    operands: [...product.operands, third],
    operators: [...product.operators, operator],
  };
}

export function valueOf({ operands, operators }: Sum): number {
  const [first, second, third] = operands.map(({ number }) => number) as [number, number, number?];
  const product = first * second;
  if (third === undefined) return product;
  return operators[1] === "plus" ? product + third : product - third;
}

/** Those numbers of a sum that have to be looked up, in order. */
export const lookupsOf = ({ operands }: Sum): Required<Operand>[] =>
  operands.filter((each): each is Required<Operand> => each.lookup !== undefined);

/** "What is 47 times the toll of Norvel?" */
export const questionOfSum = (sum: Sum): string => `What is ${joined(sum, asked, word)}?`;

/** With every number known: "47 times 38". */
export const inWords = (sum: Sum): string => joined(sum, digits, word);

/** With every number known: "47 * 38". */
export const inSigns = (sum: Sum): string => joined(sum, digits, (operator) => SIGNS[operator]);

const digits = ({ number }: Operand): string => String(number);
const word = (operator: Operator): string => operator;
const asked = (operand: Operand): string =>
  operand.lookup === undefined
    ? digits(operand)
    : `the ${operand.lookup.relation.noun} of ${operand.lookup.subject}`;

function joined(
  { operands, operators }: Sum,
  one: (operand: Operand) => string,
  sign: (operator: Operator) => string,
): string {
  const parts = operands.map((operand, i) =>
    i === 0 ? one(operand) : `${sign(operators[i - 1] as Operator)} ${one(operand)}`,
  );
  return parts.join(" ");
}
