import { describe, expect, test } from "bun:test";
import {
  containsAllGolds,
  coverExactMatch,
  exactMatch,
  normaliseAnswer,
  tokenF1,
} from "../../src/reward/accuracy.ts";

describe("normaliseAnswer", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["The U.S.A.", "usa"],
    ["5,555°C", "5555°c"],
    ["  a  Tale of\tTwo\n cities ", "tale of two cities"],
    ["Another an Theory the thea", "another theory thea"],
    ["it's “quoted” — the end…", "its “quoted” — end…"],
    ["!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~x", "x"],
    ["the-end", "theend"],
    ["a a a", ""],
    ["éa a", "éa"],
  ];
  test.each(cases)("%j -> %j", (text, normalised) => {
    expect(normaliseAnswer(text)).toBe(normalised);
  });
});

describe("exactMatch", () => {
  const cases: readonly (readonly [string, string, readonly string[], boolean])[] = [
    ["any gold will do", "macron", ["Emmanuel Macron", "Macron"], true],
    ["a part is not enough", "Emmanuel", ["Emmanuel Macron"], false],
    ["more than the gold is not right", "Macron, Emmanuel Macron", ["Macron"], false],
    ["an empty answer is not right where the gold normalises to nothing", "", ["The"], false],
    ["texts that normalise to nothing are told apart", "-", ["+"], false],
    ["a gold that normalises to nothing can be matched", "+", ["+"], true],
  ];
  test.each(cases)("%s", (_, answer, golds, right) => {
    expect(exactMatch(answer, golds)).toBe(right);
  });
});

test("containsAllGolds wants at least two golds and each of them", () => {
  expect(containsAllGolds("red and blue", ["Blue", "the red"])).toBe(true);
  expect(containsAllGolds("red", ["Blue", "red"])).toBe(false);
  expect(containsAllGolds("red and blue", ["red"])).toBe(false);
});

describe("tokenF1", () => {
  // 2 * common / (words of the answer + words of the gold)
  const cases: readonly (readonly [string, string, readonly string[], number])[] = [
    ["the same words in another order are as good", "ran ivo", ["Ivo Ran"], (2 * 2) / (2 + 2)],
    ["an article is no word", "the Ivo Ran", ["Ivo Ran"], (2 * 2) / (2 + 2)],
    ["a part has full precision only", "Macron", ["Emmanuel Macron"], (2 * 1) / (1 + 2)],
    ["a sentence has full recall only", "it was Ivo Ran", ["Ivo Ran"], (2 * 2) / (4 + 2)],
    ["a repeated word counts once for each in the gold", "ran ran ran", ["ran"], (2 * 1) / (3 + 1)],
    ["the best gold counts", "Macron", ["Emmanuel Macron", "Macron"], 1],
    ["nothing in common", "Osk", ["Ran"], 0],
    ["an empty answer", "", ["Ran"], 0],
    ["an empty answer to an empty gold", "", [""], 0],
    ["punctuation alone, told apart", "+", ["+", "-"], 1],
    ["no gold", "Ran", [], 0],
  ];
  test.each(cases)("%s", (_, answer, golds, f1) => {
    expect(tokenF1(answer, golds)).toBeCloseTo(f1, 12);
  });
});

describe("coverExactMatch", () => {
  const cases: readonly (readonly [string, string, readonly string[], boolean])[] = [
    ["a gold inside a sentence", "It is the Eiffel-Tower, of course", ["eiffeltower"], true],
    ["any gold will do", "Emmanuel Macron", ["Hollande", "Macron"], true],
    ["a part of a gold is not enough", "Macron", ["Emmanuel Macron"], false],
    ["a text inside a word counts", "1923", ["23"], true],
    ["an empty gold is in nothing", "anything", [""], false],
    ["an empty answer covers nothing", "", ["Ran"], false],
  ];
  test.each(cases)("%s", (_, answer, golds, right) => {
    expect(coverExactMatch(answer, golds)).toBe(right);
  });
  test("holds wherever an exact match does", () => {
    for (const [answer, gold] of [["The Ran.", "ran"], ["+", "+"], ["A", "a"]] as const) {
      expect(exactMatch(answer, [gold])).toBe(true);
      expect(coverExactMatch(answer, [gold])).toBe(true);
      expect(tokenF1(answer, [gold])).toBe(1);
    }
  });
});
