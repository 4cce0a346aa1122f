import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { TextStream } from "../../../src/serve/policy/text-stream.ts";

const UTF8 = new TextEncoder();

function pushed(stops: readonly string[], pieces: readonly Uint8Array[]): string[] {
  const stream = new TextStream(stops);
  return [...pieces.map((piece) => stream.push(piece)), stream.end()];
}
const bytewise = (text: string): Uint8Array[] =>
  [...UTF8.encode(text)].map((b) => Uint8Array.of(b));

const table: readonly [claim: string, text: string, stops: string[], pieces: string][] = [
  ["a character is given out when it is whole", "aé日😀", [], "a||é|||日||||😀|"],
  ["what may begin a stop text waits", "ab\n\nc", ["\n\n"], "a|b||||"],
  ["what did not become one is given out", "a\nb", ["\n\n"], "a||\nb|"],
  ["what is left at the end is given out", "a<", ["<b>"], "a||<"],
  ["the first complete stop text ends it", "xaby", ["aby", "ab"], "x||||"],
  ["of two that end together the longer is left out", "xaby", ["by", "aby"], "x||||"],
  ["a repeated begin is no loss", "aab", ["ab"], "|a||"],
];
test.each(table)("%s", (_claim, text, stops, pieces) => {
  expect(pushed(stops, bytewise(text)).join("|")).toBe(pieces);
});

test("bytes that are no character become U+FFFD, also at the end", () => {
  expect(pushed([], [Uint8Array.of(0xff, 97), Uint8Array.of(0xe2, 0x82)])).toEqual([
    "\ufffda",
    "",
    "\ufffd",
  ]);
});

test("however a text is cut, the pieces joined are it up to the first stop text", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀") });
  const stop = fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(
      letters,
      fc.array(stop, { maxLength: 2 }),
      fc.infiniteStream(fc.nat(4)),
      (text, stops, cuts) => {
        const bytes = UTF8.encode(text);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = 1 + (cuts.next().value as number);
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        const ends = stops
          .map((each) => [text.indexOf(each), each.length] as const)
          .filter(([at]) => at >= 0);
        const [first] = ends.toSorted(([a, n], [b, m]) => a + n - b - m || a - b);
        expect(pushed(stops, pieces).join("")).toBe(
          first === undefined ? text : text.slice(0, first[0]),
        );
      },
    ),
  );
});
