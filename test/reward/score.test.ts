import { describe, expect, test } from "bun:test";
import { rewardProfile } from "../../src/reward/profiles.ts";
import { scoreResponse, scoreRollout } from "../../src/reward/score.ts";
import { tagProfile } from "../../src/reward/tags.ts";

const tags = tagProfile("icrl");
const golds = ["Emmanuel Macron", "Macron"];
const prompt =
  "Write <think> and </think>, <search> and </search>, <information> and </information>, " +
  "<answer> and </answer>.\nQuestion: who is the president of France?\n";
const searched =
  "<think> x </think> <search> president </search> <information> Doc 1 </information> " +
  "<think> y </think> ";

function score(profile: string, response: string) {
  return scoreResponse(rewardProfile(profile), tags, { prompt, response, golds });
}

// Rewards are .8 EM + .2 format. Format is 1 - (no answer .5, unbalanced answer .2, no think .15,
// unbalanced think .1, no search .1, empty answer .2); in `icrl-official` the prompt's tags are
// counted too.
describe("reward vectors", () => {
  const vectors: readonly (readonly [string, string, number, number])[] = [
    ["empty", "", 0.2, 0],
    ["answer only", "<answer> Macron </answer>", 1, 0.95],
    ["no search", "<think> x </think> <answer> Macron </answer>", 1, 0.98],
    ["whole", `${searched}<answer> Macron </answer>`, 1, 1],
    ["whole but wrong", `${searched}<answer> Hollande </answer>`, 0.2, 0.2],
    ["unclosed answer", "<think> x </think> <answer> Macron", 0.16, 0.04],
    ["unclosed think and answer", "<think> x <answer> Macron", 0.14, 0],
    ["unclosed think", "<think> x <answer> Macron </answer>", 0.98, 0.93],
    ["empty answer", `${searched}<answer>  </answer>`, 0.16, 0.16],
    ["white space only", " \n ", 0.2, 0],
    ["upper-case tags", "<THINK> x </Think> <ANSWER> Macron </ANSWER>", 1, 0.98],
    ["closing search tag alone", "<think> x </think> </search> <answer> Macron </answer>", 1, 1],
  ];
  test.each(vectors)("%s", (_, response, official, icrl) => {
    expect(score("icrl-official", response).total).toBeCloseTo(official, 12);
    expect(score("icrl", response).total).toBeCloseTo(icrl, 12);
  });
});

test("search-r1 pays 1 for an exact match, however it is written, and 0 for anything else", () => {
  const totals = [searched, ""].flatMap((before) =>
    ["Macron", "Hollande"].map((name) => `${before}<answer> ${name} </answer>`),
  );
  expect(totals.map((response) => score("search-r1", response).total)).toEqual([1, 0, 1, 0]);
});

describe("components", () => {
  test("name each penalty as charged", () => {
    expect(score("icrl", "<think> x </think> <answer> Macron").components).toEqual({
      em: 0,
      format: 1 - (0.5 + 0.2 + 0.1),
      valid_format: 0,
      empty_response: 0,
      no_answer: 0.5,
      unbalanced_answer: 0.2,
      empty_answer: 0,
      no_think: 0,
      unbalanced_think: 0,
      no_search: 0.1,
    });
  });

  test("an answer inside a tool's output earns nothing and counts as no tag", () => {
    const policyText = "<think> x </think> <search> q </search>";
    const response = `${policyText}<information> <answer> Macron </answer> </information>`;
    for (const profile of ["icrl", "icrl-official"]) {
      const reward = scoreRollout(rewardProfile(profile), tags, {
        prompt,
        response,
        policyText,
        golds,
      });
      expect(reward.components.em).toBe(0);
    }
    const { components } = score("icrl", response);
    expect(components.em).toBe(0);
    expect(components.no_answer).toBe(0.5);
  });

  test("an answer in the prompt earns nothing", () => {
    const shown = { prompt: "<answer> Macron </answer>", response: "<think> x </think>", golds };
    expect(scoreResponse(rewardProfile("icrl-official"), tags, shown).components.em).toBe(0);
  });

  test("all golds of several count as right only in icrl-official", () => {
    const text = {
      prompt,
      response: "<answer> France and Germany </answer>",
      golds: ["Germany", "France"],
    };
    expect(scoreResponse(rewardProfile("icrl"), tags, text).components.em).toBe(0);
    expect(scoreResponse(rewardProfile("icrl-official"), tags, text).components.em).toBe(1);
  });
});

describe("valid_format", () => {
  const whole = `${searched}<answer> Macron </answer>`;
  const cases: readonly (readonly [string, string, number])[] = [
    ["holds for a whole response", whole, 1],
    ["does not ask for the right answer", whole.replace("Macron", "Hollande"), 1],
    ["allows white space after the answer", `${whole}\n`, 1],
    ["fails with text after the answer", `${whole} so`, 0],
    ["fails with a second answer", `${whole} <answer> Macron </answer>`, 0],
    ["fails without a search", "<think> x </think> <answer> Macron </answer>", 0],
    ["fails with an empty answer", `${searched}<answer></answer>`, 0],
    [
      "fails where the policy wrote an observation",
      whole.replace("</search> ", "</search> so "),
      0,
    ],
    ["fails where the policy opened an observation", `${searched}<information> ${whole}`, 0],
    ["fails for the empty response", "", 0],
  ];
  test.each(cases)("%s", (_, response, valid) => {
    expect(score("icrl", response).components.valid_format).toBe(valid);
  });
});

test("an unknown profile is an error with a suggestion", () => {
  expect(() => rewardProfile("irl")).toThrow('unknown reward profile "irl"');
  expect(() => tagProfile("search_r1")).toThrow('unknown tag profile "search_r1"');
});
