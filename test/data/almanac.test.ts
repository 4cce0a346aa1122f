import { expect, test } from "bun:test";
import { almanac } from "../../src/data/almanac.ts";
import {
  factOf,
  ONE_HOP,
  queryOf,
  questionOf,
  RELATIONS,
  TWO_HOP,
} from "../../src/data/relations.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";

const world = almanac(1);
const words = (text: string): string[] => text.toLowerCase().match(/[a-z]+/g) ?? [];
const namesIn = (text: string): string[] =>
  (text.match(/\b[A-Z][a-z]+\b/g) ?? []).filter((word) => world.names.has(word));

test("2,460 facts of eight relations, 35 % of the questions over six compositions", () => {
  expect(world.passages).toHaveLength(2460);
  expect([RELATIONS.length, ONE_HOP.length, TWO_HOP.length]).toEqual([8, 8, 6]);
  expect([world.train.length, world.validation.length]).toEqual([2400, 400]);
  for (const tasks of [world.train, world.validation]) {
    const twoHop = tasks.filter(({ meta }) => meta["hops"] === 2).length;
    expect(Math.abs(twoHop / tasks.length - 0.35)).toBeLessThan(0.002);
  }
});

test("a seed gives one almanac, another seed another", () => {
  expect(almanac(1)).toEqual(world);
  expect(almanac(2).passages[0]).not.toEqual(world.passages[0]);
});

test("no name of a training question, answer or demonstration occurs in a held-out one", () => {
  const trained = new Set(
    [
      ...world.train,
      ...world.demonstrations.map(({ question, answer }) => ({ question, golds: [answer] })),
    ].flatMap(({ question, golds }) => [...namesIn(question), ...golds]),
  );
  const heldOut = world.validation.flatMap(({ question, golds }) => [
    ...namesIn(question),
    ...golds,
  ]);
  expect(heldOut.length).toBe(800);
  expect(heldOut.filter((name) => trained.has(name))).toEqual([]);
});

test("questions are distinct and none is a demonstration's", () => {
  const questions = [...world.train, ...world.validation, ...world.demonstrations].map(
    ({ question }) => question,
  );
  expect(new Set(questions).size).toBe(2400 + 400 + 3);
  expect(new Set(world.train.map(({ id }) => id)).size).toBe(2400);
});

test("the facts lead from each question to its gold answer", () => {
  const texts = new Map(world.passages.map(({ id, text }) => [id, text]));
  for (const { id, question, golds } of [...world.train, ...world.validation]) {
    const [, nouns, subject] = id.split("/") as [string, string, string];
    let entity = subject;
    for (const noun of nouns.split("-")) {
      const text = texts.get(`${noun}:${entity}`)!;
      expect(text).toStartWith(`The ${noun} of ${entity} is `);
      entity = text.slice(0, -1).split(" ").at(-1)!;
    }
    expect(golds).toEqual([entity]);
    const chain = nouns
      .split("-")
      .map((noun) => RELATIONS.find((relation) => relation.noun === noun)!);
    expect(questionOf(chain as unknown as (typeof ONE_HOP)[number], subject)).toBe(question);
  }
});

test("every word of a query occurs in its fact", () => {
  for (const relation of RELATIONS)
    expect(words(factOf(relation, "Velmor", "Tasurik"))).toEqual(
      expect.arrayContaining(words(queryOf(relation, "Velmor"))),
    );
});

test("the oracle query finds its fact first, always", () => {
  using index = Bm25Index.build(world.passages);
  const missed = world.passages.filter(({ id }) => {
    const [noun, subject] = id.split(":") as [string, string];
    const relation = RELATIONS.find((one) => one.noun === noun)!;
    return index.search(queryOf(relation, subject), 1)[0]?.id !== id;
  });
  expect(missed).toEqual([]);
});

test("three demonstrations, first two hops, show passages as the tool returns them", () => {
  const texts = new Set(world.passages.map(({ text }) => text));
  expect(world.demonstrations.map(({ turns }) => turns.length)).toEqual([3, 2, 2]);
  for (const { turns, answer } of world.demonstrations) {
    for (const { observation } of turns.slice(0, -1)) expect(texts.has(observation!)).toBeTrue();
    expect(turns.at(-1)!.toolCall).toBeUndefined();
    expect(turns.at(-1)!.think).toContain(answer);
  }
});
