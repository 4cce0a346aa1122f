import { describe, expect, test } from "bun:test";
import { loadRecipe, parseRecipe, recipeText, withAbsolutePaths } from "../../src/config/load.ts";
import { refusal } from "../helpers/data-files.ts";

const url = "tool.search.url=http://127.0.0.1:8000/retrieve";
const load = (...overrides: string[]) => loadRecipe({ source: "nano", overrides });

describe("data.train may be written as", () => {
  const table: readonly [setting: string, sources: object[]][] = [
    ["nq.parquet", [{ path: "nq.parquet" }]],
    ["[a.jsonl, b/*.parquet]", [{ path: "a.jsonl" }, { path: "b/*.parquet" }]],
    ["{path: a.jsonl, limit: 5}", [{ path: "a.jsonl", limit: 5 }]],
    [
      "[{path: a, weight: 2, where: {level: [hard, 3]}}, {path: b, weight: 1}]",
      [
        { path: "a", weight: 2, where: { level: ["hard", 3] } },
        { path: "b", weight: 1 },
      ],
    ],
  ];
  test.each(table)("%s", (setting, sources) => {
    const recipe = load(`data.train=${setting}`, url);
    expect(recipe.data.train as object[]).toEqual(sources);
    expect(parseRecipe(recipeText(recipe), "recipe.yaml")).toEqual(recipe);
  });
});

describe("wrong data are refused with the reason", () => {
  const table: readonly [settings: string[], line: string][] = [
    [["data.train=[]", url], "data.train: Too small"],
    [["data.train=[{path: a, wieght: 2}]", url], 'did you mean "weight"?'],
    [["data.train=[{paht: a}]", url], 'did you mean "path"?'],
    [
      ["data.train=[{path: a, weight: 2}, b]", url],
      "1 of 2 weights: give one to each source or to none",
    ],
    [["data.train=[{path: a, weight: 0}]", url], "data.train.0.weight: Too small"],
    [["data.validation=[{path: a, weight: 1}]"], "held-out questions have no weight"],
    [["data.train={path: almanac, where: {x: 1}}"], "the almanac has no rows or columns"],
    [["data.train={path: a, where: {x: [{}]}}", url], "a text, a number, or a list of them"],
    [["data.validation=a", "data.holdout=5"], "there is data.validation, so nothing is held out"],
    [["data.holdout=0"], "data.holdout: Too small"],
    [["data.train=nq.parquet"], "these questions need a retriever, tool.search.url"],
    [["tool.search.url=localhost:8000"], "an address like http://127.0.0.1:8000/retrieve"],
  ];
  test.each(table)("%j", async (settings, line) => {
    expect(await refusal(() => load(...settings))).toContain(line);
  });
});

test("a recipe about to be frozen finds its model and its files from any folder", () => {
  const recipe = load("data.train=[a.jsonl, almanac]", "data.validation=/b.jsonl", url);
  const { data, policy } = withAbsolutePaths(recipe);
  expect(policy.model).toBe("nano");
  const modelOf = (model: string) =>
    withAbsolutePaths(load(`policy.model=${model}`)).policy.model;
  expect([modelOf("src"), modelOf("acme/tiny")]).toEqual([`${process.cwd()}/src`, "acme/tiny"]);
  expect(data.train.map(({ path }) => path)).toEqual([`${process.cwd()}/a.jsonl`, "almanac"]);
  expect(data.validation!.map(({ path }) => path)).toEqual(["/b.jsonl"]);
});
