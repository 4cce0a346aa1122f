// Units after a number. The rule: a unit from this list that only one of two answers has is
// dropped; two different ones are not equal. A unit of one letter counts only after a space, since
// 5m may be a product. Percent is no unit: 50% is 1/2.

const WORDS =
  "mm cm dm km m in inch inches ft foot feet yd yard yards mi mile miles meter meters metre " +
  "metres centimeter centimeters kilometer kilometers kg g mg gram grams kilogram kilograms " +
  "lb lbs pound pounds oz ounce ounces ton tons l ml liter liters litre litres gallon gallons " +
  "s sec second seconds min minute minutes h hr hrs hour hours day days week weeks month " +
  "months year years dollar dollars cent cents euro euros usd rad radian radians unit units " +
  "mph kmh people person students student ways way apples apple balls ball coins coin points " +
  "point times steps sq";
const KNOWN: ReadonlySet<string> = new Set(WORDS.split(" "));

const SAME: Readonly<Record<string, string>> = {
  inches: "in",
  inch: "in",
  feet: "ft",
  foot: "ft",
  hours: "h",
  hour: "h",
  hr: "h",
  hrs: "h",
  minutes: "min",
  minute: "min",
  seconds: "s",
  second: "s",
  sec: "s",
  meters: "m",
  meter: "m",
  metres: "m",
  metre: "m",
  centimeters: "cm",
  centimeter: "cm",
  kilometers: "km",
  kilometer: "km",
  grams: "g",
  gram: "g",
  kilograms: "kg",
  kilogram: "kg",
  people: "person",
};

export interface Measured {
  readonly number: string;
  /** In one spelling. */
  readonly unit: string | undefined;
}

/** Words, with powers and `/` or `per` between them, at the end of the line. */
const word = "[a-z]+(?:\\^(?:\\d|\\{\\d\\}))?";
const ending = new RegExp(`(?<![a-z\\\\])${word}(?:(?: | ?[/*] ?)${word})*$`, "i");

export function splitUnit(text: string): Measured {
  const tail = ending.exec(text)?.[0];
  if (tail === undefined) return { number: text, unit: undefined };
  const before = text.slice(0, -tail.length);
  const words = tail.toLowerCase().match(/[a-z]+/g)!;
  const isKnown = words.every((word) => KNOWN.has(word) || CONNECTING.has(word));
  const isSpaced = before.endsWith(" ") || tail.search(/[^a-z]|$/i) > 1;
  if (!isKnown || !isSpaced || !/[\d)}\]π]\s*$/.test(before)) {
    return { number: text, unit: undefined };
  }
  return { number: before.trim(), unit: spelling(tail.toLowerCase()) };
}

const CONNECTING: ReadonlySet<string> = new Set(["per", "square", "cubic"]);

function spelling(tail: string): string {
  const words = tail
    .replace(/\bper\b/g, "/")
    .replace(/[{}\s]+/g, " ")
    .trim();
  const named = words.replace(/[a-z]+/g, (word) => SAME[word] ?? word.replace(/(?<=..)s$/, ""));
  const powers = named.replace(/\b(square|sq) (\w+)/g, "$2^2").replace(/\bcubic (\w+)/g, "$1^3");
  return powers.replace(/\s+/g, "");
}
