import { describe, expect, test } from "bun:test";
import { PENALTIES, type RewardRecipe, rewardSection } from "../../src/config/reward-recipe.ts";
import { profileOf, type RewardProfile, rewardProfile } from "../../src/reward/profiles.ts";
import { faultNames } from "../../src/reward/format.ts";
import { type ScoredText, scoreRollout } from "../../src/reward/score.ts";
import { ownText, type TagProfile, tagProfile } from "../../src/reward/tags.ts";

const tags = tagProfile("icrl");
const golds = ["Emmanuel Macron", "Macron"];
const prompt =
  "Write <think> and </think>, <search> and </search>, <information> and </information>, " +
  "<answer> and </answer>.\nQuestion: who is the president of France?\n";
const searched =
  "<think> x </think> <search> president </search> <information> Doc 1 </information> " +
  "<think> y </think> ";

/** Where token roles are not known, observations are recognised by their tags. */
const scoreResponse = (
  profile: RewardProfile,
  tags: TagProfile,
  text: Omit<ScoredText, "policyText">,
) => scoreRollout(profile, tags, { ...text, policyText: ownText(tags, text.response) });

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

// Right and in order 1, right only .8, in order only .2, an answer that is neither .1, none 0.
describe("search-r1-format", () => {
  const answer = "<answer> Macron </answer>";
  const wrong = "<answer> Hollande </answer>";
  const vectors: readonly (readonly [string, string, number])[] = [
    ["right and in order", searched + answer, 1],
    ["right and in order without a search", `<think> x </think>${answer}`, 1],
    ["right without a thought before it", answer, 0.8],
    ["right with words between tags", `${searched}so ${answer}`, 0.8],
    ["right with words after it", `${searched}${answer} done`, 0.8],
    [
      "right after a search without a thought",
      searched.replace("<think> x </think> ", "") + answer,
      0.8,
    ],
    [
      "right after an observation that it wrote itself",
      `<think> x </think> <search> q </search> so <information> y </information> <think> z </think> ${answer}`,
      0.8,
    ],
    ["wrong and in order", searched + wrong, 0.2],
    ["wrong with two answers", searched + wrong + wrong, 0.1],
    ["wrong without a thought", wrong, 0.1],
    ["no answer", searched, 0],
    ["nothing at all", "", 0],
  ];
  test.each(vectors)("%s", (_, response, total) => {
    expect(score("search-r1-format", response).total).toBeCloseTo(total, 12);
  });

  test("names its terms", () => {
    const { components } = score("search-r1-format", wrong);
    expect(components).toMatchObject({ em: 0, valid_sequence: 0, attempt: 1 });
  });
});

// 1 for a right answer, else -1.
describe("retool", () => {
  const vectors: readonly (readonly [string, string, number])[] = [
    ["the box in the answer", "<answer>\\boxed{\\frac{1}{2}}</answer>", 1],
    ["a box anywhere", "so it is \\boxed{0.5}.", 1],
    ["the last of several boxes", "\\boxed{1/2} or \\boxed{3}", -1],
    ["an answer line", "Thus\nAnswer: 1/2", 1],
    ["an answer line after a box", "\\boxed{3}\nAnswer: $\\frac12$", 1],
    ["a box on the answer line", "Answer: it is \\boxed{2/4}", 1],
    ["an answer line before a box", "Answer: 1/2, no: \\boxed{3}", -1],
    ["a wrong one", "\\boxed{2}", -1],
    ["none", "it is one half", -1],
    ["nothing at all", "", -1],
  ];
  test.each(vectors)("%s", (_, response, total) => {
    const text = { prompt: "\\boxed{1/2}", response, golds: ["\\frac{1}{2}"] };
    const reward = scoreResponse(rewardProfile("retool"), tagProfile("retool"), text);
    expect([reward.total, reward.components.em]).toEqual([total, Number(total > 0)]);
  });
});

// 1 for a right answer, else -1, and .5 less where the last code failed.
describe("torl", () => {
  const vectors: readonly (readonly [string, string, boolean | undefined, number])[] = [
    ["right", "\\boxed{42}", false, 1],
    ["right without a call", "\\boxed{42}", undefined, 1],
    ["right, the last code failed", "\\boxed{42}", true, 0.5],
    ["wrong", "\\boxed{41}", false, -1],
    ["wrong, the last code failed", "\\boxed{41}", true, -1.5],
    ["an answer outside of a box", "Answer: 42", false, -1],
  ];
  test.each(vectors)("%s", (_, response, executionFailed, total) => {
    const text = { prompt: "", response, golds: ["42"], executionFailed };
    const reward = scoreResponse(rewardProfile("torl"), tagProfile("torl"), text);
    expect(reward.total).toBeCloseTo(total, 12);
    expect(reward.components.execution_failed).toBe(Number(executionFailed ?? false));
  });
});

test("icrl-math is icrl with answers compared as mathematics", () => {
  const whole = `${searched}<answer> \\frac{2}{4} </answer>`;
  const text = { prompt, response: whole, golds: ["0.5"] };
  expect(scoreResponse(rewardProfile("icrl"), tags, text).total).toBeCloseTo(0.2, 12);
  expect(scoreResponse(rewardProfile("icrl-math"), tags, text).total).toBe(1);
});

describe("a recipe's changes to a profile", () => {
  const scoreBy = (recipe: Partial<RewardRecipe>, response: string) =>
    scoreResponse(profileOf(rewardSection.parse(recipe)), tags, { prompt, response, golds });
  const vectors: readonly (readonly [string, Partial<RewardRecipe>, string, number])[] = [
    // format is .75: no think .15, no search .1
    [
      "weights",
      { weights: { accuracy: 0.5, format: 0.4 } },
      "<answer>Macron</answer>",
      0.5 + 0.4 * 0.75,
    ],
    ["one weight of two", { weights: { format: 0 } }, "<answer>Macron</answer>", 0.8],
    ["another term", { weights: { wrong: -1 } }, "<answer>Ho</answer>", 0.2 * 0.75 - 1],
    ["a penalty", { penalties: { no_search: 0 } }, "<answer>Macron</answer>", 0.8 + 0.2 * 0.85],
    // one word in common, of three and of one: F1 = 2 * 1 / (3 + 1)
    [
      "F1 pays for a part",
      { accuracy: "f1" },
      "<answer>it was Macron</answer>",
      0.8 * 0.5 + 0.2 * 0.75,
    ],
    ["cover EM", { accuracy: "cover_em" }, "<answer>it was Macron</answer>", 0.8 + 0.2 * 0.75],
  ];
  test.each(vectors)("%s", (_, recipe, response, total) => {
    expect(scoreBy(recipe, response).total).toBeCloseTo(total, 12);
  });

  test("a graded kind records its grade as accuracy, and em only where the answer is right", () => {
    const part = scoreBy({ accuracy: "f1" }, "<answer>it was Macron</answer>").components;
    expect([part.accuracy, part.em]).toEqual([0.5, 0]);
    const all = scoreBy({ accuracy: "f1" }, "<answer>Macron</answer>").components;
    expect([all.accuracy, all.em]).toEqual([1, 1]);
  });

  test("every fault has a penalty that a recipe can set", () => {
    expect([...PENALTIES]).toEqual([...faultNames]);
  });
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
