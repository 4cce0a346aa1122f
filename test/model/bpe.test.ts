import { expect, test } from "bun:test";
import { byteSymbols, trainMerges, trainTokenizer } from "../../src/model/bpe.ts";
import { createTokenizer, type TokenizerJson } from "../../src/model/tokenizer.ts";

const text =
  "The river of Velmor is Tasurik. <plan> I need the river. </plan>\n<seek> river of Velmor </seek>\n\n".repeat(
    3,
  );
const tokenizer = createTokenizer(trainTokenizer(text, 290) as unknown as TokenizerJson);

test("the most frequent pair is merged first, the first met of equals", () => {
  // "ab" three times, "bc" twice, then of abc and the pairs left
  expect(trainMerges("abc abc ab", 2)).toEqual([
    ["a", "b"],
    ["ab", "c"],
  ]);
  expect(trainMerges("xy zw", 1)).toEqual([["x", "y"]]);
});

test("a text with too few pairs for the merges asked is refused", () => {
  expect(() => trainMerges("ab", 5)).toThrow("the text yields 1 merges, not 5");
});

test("every byte has a printable symbol of its own", () => {
  const symbols = byteSymbols();
  expect(new Set(symbols).size).toBe(256);
  expect([symbols[32], symbols[10], symbols[65]]).toEqual(["Ġ", "Ċ", "A"]);
});

test.each([
  "The river of Velmor is Tasurik.",
  "<think> naïve café 東京 😀 </think>\n\n\n  x  ",
  " leading and trailing ",
  "12 345\t\n",
  "",
])("%j comes back from its ids", (sample) => {
  expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
});

test("marks, words and closing signs are tokens of their own, line ends join the sign before", () => {
  const pieces = tokenizer
    .encode("<plan> river </plan>\n<seek>")
    .map((id) => tokenizer.decode([id]));
  for (const piece of pieces) expect(piece).toMatch(/^ ?(<\/?|[a-zA-Z]+|>\n?|[^\s\w]+\n*)$/);
  expect(pieces).toContain(">\n");
});

test("the end token is id 0, one token, and ends a text", () => {
  expect(tokenizer.encode("<|endoftext|>")).toEqual([0]);
  expect(tokenizer.eosIds).toEqual([0]);
  expect(tokenizer.vocabSize).toBe(290);
});

test("the bytes of the tokens joined are the bytes of the text", () => {
  const sample = "Tasurik 東京 </plan>\n";
  const bytes = tokenizer.encode(sample).flatMap((id) => [...tokenizer.tokenBytes(id)]);
  expect(bytes).toEqual([...new TextEncoder().encode(sample)]);
});

test("an id without a token is an error", () => {
  expect(() => tokenizer.tokenBytes(290)).toThrow("no token has id 290");
  expect(() => tokenizer.decode([-1])).toThrow("no token has id -1");
});

test("a tokenizer that is not byte-level is refused", () => {
  const json = { model: { vocab: {} }, decoder: { type: "WordPiece" } };
  expect(() => createTokenizer(json)).toThrow("not a byte-level tokenizer");
});
