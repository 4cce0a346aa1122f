import { describe, expect, test } from "bun:test";
import { containsAllGolds, exactMatch, normaliseAnswer } from "../../src/reward/accuracy.ts";

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
