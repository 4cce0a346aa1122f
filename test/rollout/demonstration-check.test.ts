import { describe, expect, test } from "bun:test";
import { openDemonstrations } from "../../src/data/demonstration-file.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { checkDemonstration } from "../../src/rollout/demonstration-check.ts";
import type { Demonstration } from "../../src/types.ts";

const tags = tagProfile("icrl");
const good: Demonstration = {
  id: "a",
  question: "Where is Orn?",
  turns: [
    { think: "I look it up.", toolCall: "Orn", observation: "Orn lies on the Sil." },
    { think: "On the Sil." },
  ],
  answer: "on the Sil",
};
const [first, last] = good.turns;

test("the embedded ones and a plain one have no fault", () => {
  for (const each of [good, ...openDemonstrations("search").demonstrations]) {
    expect(checkDemonstration(tags, each)).toEqual([]);
  }
});

describe("a fault names its part", () => {
  const inside = 'the text holds </search>, a tag of the profile "icrl"';
  const table: readonly [
    change: Partial<Demonstration>,
    path: (string | number)[],
    fault: string,
  ][] = [
    [{ question: "What is </search>?" }, ["question"], inside],
    [{ turns: [{ ...first!, think: "x </SEARCH>" }, last!] }, ["turns", 0, "think"], inside],
    [
      { turns: [{ ...first!, toolCall: "<answer>" }, last!] },
      ["turns", 0, "call"],
      'the text holds <answer>, a tag of the profile "icrl"',
    ],
    [
      { turns: [{ ...first!, observation: "a <think> b" }, last!] },
      ["turns", 0, "observation"],
      'the text holds <think>, a tag of the profile "icrl"',
    ],
    [
      { answer: "</information>" },
      ["answer"],
      'the text holds </information>, a tag of the profile "icrl"',
    ],
    [{ turns: [last!] }, [], "the format reward would charge for it: no_search"],
  ];
  test.each(table)("%j", (change, path, message) => {
    expect(checkDemonstration(tags, { ...good, ...change })).toEqual([{ path, message }]);
  });
});
