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

describe("in another profile", () => {
  const python = {
    ...good,
    turns: [
      {
        think: "I add.",
        tool: "python",
        toolCall: "print(1 + 2)\nprint({})",
        observation: "3\n{}",
      },
      { think: "It is 3." },
    ],
    answer: "3",
  };
  const mixed = { ...good, turns: [good.turns[0]!, ...python.turns] };
  const tools = [
    { name: "search", tag: "search", textParameter: "query" },
    { name: "python", tag: "code", textParameter: "code" },
  ];
  test.each(["icrl", "search-r1", "hermes", "hermes-message"])("%s shows both tools", (name) => {
    const profile = tagProfile(name, tools);
    for (const each of [good, python, mixed]) expect(checkDemonstration(profile, each)).toEqual([]);
  });
  test.each(["retool", "torl"])("%s shows code", (name) => {
    const profile = tagProfile(name);
    expect(checkDemonstration(profile, python)).toEqual([]);
    expect(checkDemonstration(profile, mixed)).toEqual([]);
  });
  test("a tool that is not there is a fault of its turn", () => {
    const turns = [{ ...first!, tool: "wiki" }, last!];
    expect(checkDemonstration(tags, { ...good, turns })).toEqual([
      { path: ["turns", 0, "tool"], message: 'there is no tool "wiki", only search' },
    ]);
  });
  test("a call that does not read back as written is a fault of its turn", () => {
    const add = tagProfile("hermes", [{ name: "add", tag: "add" }]);
    const call = (toolCall: string) => ({ ...good, turns: [{ ...first!, toolCall }, last!] });
    expect(checkDemonstration(add, call('{"a": 1, "b": [2]}'))).toEqual([]);
    const [fault] = checkDemonstration(add, call("1 + 2"));
    expect(fault).toMatchObject({ path: ["turns", 0, "call"] });
  });
  test("a fence around code is the profile's", () => {
    const fence = { ...good, turns: [{ ...first!, toolCall: "```python\n1\n```" }, last!] };
    expect(checkDemonstration(tagProfile("retool"), fence)[0]).toEqual({
      path: ["turns", 0, "call"],
      message: 'the text holds ```, a tag of the profile "retool"',
    });
  });
});
