import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { loadRecipe, parseRecipe, recipeText, withAbsolutePaths } from "../../src/config/load.ts";
import { refusal } from "../helpers/data-files.ts";

describe("a reward section with a mistake says where and what was meant", () => {
  const table: readonly (readonly [section: string, line: string])[] = [
    [
      "profile: search-r1-fromat",
      'reward.profile: unknown reward profile "search-r1-fromat" (x.yaml:3:3) - ' +
        'did you mean "search-r1-format"?',
    ],
    [
      "accuracy: maths",
      'reward.accuracy: unknown kind of accuracy "maths" (x.yaml:3:3) - did you mean "math"?',
    ],
    [
      "weights: { acuracy: 1 }",
      'unknown key "reward.weights.acuracy" (x.yaml:3:14) - did you mean "accuracy"?',
    ],
    [
      "penalties: { no_anwser: 1 }",
      'unknown key "reward.penalties.no_anwser" (x.yaml:3:16) - did you mean "no_answer"?',
    ],
    [
      "penalties: { no_answer: -1 }",
      "reward.penalties.no_answer: Too small: expected number to be >=0 (x.yaml:3:16)",
    ],
    ["file: reward.rb", "reward.file: a TypeScript (.ts) or Python (.py) file (x.yaml:3:3)"],
    [
      "{ file: a.py, weights: { format: 1 } }",
      "reward.weights do nothing beside reward.file, whose total is the reward (x.yaml:3:17)",
    ],
  ];
  test.each(table)("%s", async (section, line) => {
    const text = `name: x\nreward:\n  ${section}\n`;
    expect(await refusal(() => parseRecipe(text, "x.yaml"))).toBe(line);
  });
});

test("a reward section with all its keys survives being frozen, and its file is found from anywhere", () => {
  const reward =
    "{ profile: torl, accuracy: f1, penalties: { no_think: 0 }, file: my/reward.py, deadline_ms: 9 }";
  const recipe = loadRecipe({ source: "nano", overrides: [`reward=${reward}`] });
  const frozen = withAbsolutePaths(recipe);
  expect(frozen.reward).toEqual({ ...recipe.reward, file: resolve("my/reward.py") });
  expect(parseRecipe(recipeText(frozen), "recipe.yaml")).toEqual(frozen);
});

test("a recipe that names only a profile, as frozen ones do, has that profile's numbers", () => {
  const { reward } = parseRecipe("name: x\nreward: { profile: icrl }\n", "x.yaml");
  expect(reward).toMatchObject({ profile: "icrl", weights: {}, penalties: {} });
});
