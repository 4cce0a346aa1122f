import { describe, expect, test } from "bun:test";
import { OWN_WORLDS } from "../../src/config/data-recipe.ts";
import { inSigns, type Sum, valueOf } from "../../src/data/sums.ts";
import { ownPassages, ownWorld } from "../../src/data/worlds.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";

describe.each(OWN_WORLDS)("world %s", (name) => {
  const world = ownWorld(name);

  test("is the same each time it is made", () => {
    expect(ownWorld(name)).toEqual(world);
  });

  test("asks no held-out question in training, and shows none", () => {
    const training = new Set(world.train.map(({ question }) => question));
    expect(world.validation.filter(({ question }) => training.has(question))).toEqual([]);
    const asked = new Set([...world.train, ...world.validation].map(({ question }) => question));
    expect(world.demonstrations.filter(({ question }) => asked.has(question))).toEqual([]);
  });

  test("finds facts (each seventh is tried) with the words of a demonstration's query", () => {
    const index = Bm25Index.build(world.passages);
    for (const { id } of world.passages.filter((_, i) => i % 7 === 0)) {
      const [noun, subject] = id.split(":") as [string, string];
      expect(index.search(`${noun} of ${subject}`, 1)[0]?.id).toBe(id);
    }
  });

  test("its demonstrations say what its tools would", () => {
    const index = Bm25Index.build(world.passages);
    for (const { turns, answer } of world.demonstrations) {
      for (const { tool, toolCall = "", observation = "" } of turns.slice(0, -1)) {
        const found = tool === "search" ? index.search(toolCall, 1)[0]?.text : computed(toolCall);
        expect(observation).toBe(found!);
      }
      expect(turns.at(-2)?.observation).toContain(answer);
    }
  });
});

/** What Python prints for sums of this grammar. */
function computed(code: string): string {
  const [, first, second, sign, third] = /^print\( (\d+) \* (\d+)(?: ([+-]) (\d+))? \)$/.exec(code)!;
  const product = Number(first) * Number(second);
  return String(sign === undefined ? product : product + Number(`${sign}${third}`));
}

const sum = (operators: Sum["operators"], ...numbers: number[]): Sum => ({
  operands: numbers.map((number) => ({ number })),
  operators,
});
test.each([
  [sum(["times"], 47, 38), "47 * 38", 1786],
  [sum(["times", "plus"], 47, 38, 60), "47 * 38 + 60", 1846],
  [sum(["times", "minus"], 47, 38, 60), "47 * 38 - 60", 1726],
])("a sum has its code and its value", (given, code, value) => {
  expect(inSigns(given)).toBe(code);
  expect(valueOf(given)).toBe(value);
});

test("almanac-sums: no subject of a held-out question occurs in training", () => {
  const { train, validation } = ownWorld("almanac-sums");
  const names = (text: string): string[] => text.match(/\b[A-Z][a-z]+\b/g) ?? [];
  const trained = new Set(train.flatMap(({ question }) => names(question.slice(5))));
  const heldOut = validation.flatMap(({ question }) => names(question.slice(5)));
  expect(heldOut.filter((name) => trained.has(name))).toEqual([]);
});

test("passages of two worlds are each there once", () => {
  const ids = ownPassages(["almanac", "almanac-sums"]).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
