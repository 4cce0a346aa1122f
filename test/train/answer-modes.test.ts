import { describe, expect, test } from "bun:test";
import { parseRecipe } from "../../src/config/load.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { NO_FRAME } from "../../src/rollout/template.ts";
import {
  ANSWER_MODES,
  baselineTemplate,
  parseAnswerMode,
  retrieveForEach,
  withoutTools,
} from "../../src/train/answer-modes.ts";
import type { Task } from "../../src/types.ts";
import { byteTokenizer } from "../helpers/byte-tokenizer.ts";
import { refusal } from "../helpers/data-files.ts";
import { settings } from "../helpers/rollouts.ts";
import { toolboxOf, toolOf } from "../helpers/tools.ts";

const recipe = parseRecipe("extends: nano\nname: t", "t.yaml");
const model = {
  tokenizer: byteTokenizer,
  tags: tagProfile("icrl"),
  frame: NO_FRAME,
  frameWithoutTools: NO_FRAME,
  toolFrame: undefined,
};
const promptOf = (mode: "direct" | "cot" | "rag"): string =>
  baselineTemplate(mode, recipe, model).render("Who wrote Orn").text;
const tasksOf = (...questions: string[]): Task[] =>
  questions.map((question) => ({ id: question, question, golds: ["x"], meta: {} }));

describe("a baseline's prompt", () => {
  const table: readonly ["direct" | "cot" | "rag", shown: readonly string[]][] = [
    ["direct", ["<answer>"]],
    ["cot", ["<think>", "<answer>"]],
    ["rag", ["<information>", "<answer>"]],
  ];
  test.each(table)("of %s names %p and no other tag", (mode, shown) => {
    const tags = ["<think>", "<search>", "<information>", "<answer>"];
    expect(tags.filter((tag) => promptOf(mode).includes(tag))).toEqual([...shown]);
  });
  test("ends with the question as the recipe asks it, after one blank line", () => {
    const text = promptOf("direct");
    expect(text).toEndWith("\n\nQuestion: Who wrote Orn?\n");
    expect(text.match(/\n\n/g)).toHaveLength(1);
  });
});

test("a baseline's rollout may call nothing", () => {
  expect(withoutTools(settings()).limits).toEqual({ ...settings().limits, maxCalls: 0 });
});

describe("rag", () => {
  const template = baselineTemplate("rag", recipe, model);

  test("searches once for each question and shows what was found below it", async () => {
    const asked: string[] = [];
    const toolbox = toolboxOf([
      toolOf((input) => {
        asked.push(input);
        return `about ${input}`;
      }),
    ]);
    const tasks = tasksOf("Who wrote Orn?", "Where is Ran?");
    const { prompter, failed } = await retrieveForEach(tasks, template, settings({ toolbox }));
    expect(asked).toEqual(["Who wrote Orn?", "Where is Ran?"]);
    expect(failed.size).toBe(0);
    expect(prompter.render("Where is Ran?").text).toEndWith(
      "Question: Where is Ran?\n<information> about Where is Ran? </information>\n",
    );
  });
  test("shares the run of tokens before the question", async () => {
    const tasks = tasksOf("Who?", "Where?");
    const { prompter } = await retrieveForEach(tasks, template, settings());
    expect(prompter.render("Who?").runs[0]).toBe(prompter.render("Where?").runs[0]);
  });
  test("cuts what was found inside its tags, as an observation", async () => {
    const toolbox = toolboxOf([toolOf(() => "long ".repeat(100))]);
    const { prompter } = await retrieveForEach(tasksOf("Who?"), template, settings({ toolbox }));
    const shown = prompter.render("Who?").text.split("?\n")[1]!;
    expect(shown).toMatch(/^<information> long .* <\/information>\n$/);
    expect(byteTokenizer.encodePlain(shown).length).toBeLessThanOrEqual(80);
  });
  test("asks a question whose search failed too, and says which", async () => {
    const toolbox = toolboxOf([
      toolOf((input) => {
        if (input === "Who?") throw new Error("down");
        return "found";
      }),
    ]);
    const { prompter, failed } = await retrieveForEach(
      tasksOf("Who?", "Where?"),
      template,
      settings({ toolbox }),
    );
    expect([...failed]).toEqual(["Who?"]);
    expect(prompter.render("Who?").text).toContain("<information> Error: search failed.");
  });
  test("has no more than 32 searches in flight", async () => {
    let [inFlight, most] = [0, 0];
    const toolbox = toolboxOf([
      toolOf(async () => {
        most = Math.max(most, ++inFlight);
        await Promise.resolve();
        inFlight--;
        return "found";
      }),
    ]);
    const questions = Array.from({ length: 70 }, (_, i) => `Who is ${i}?`);
    await retrieveForEach(tasksOf(...questions), template, settings({ toolbox }));
    expect(most).toBe(32);
  });
});

test("a mode's name is one of those there are", async () => {
  expect(ANSWER_MODES.map(parseAnswerMode)).toEqual([...ANSWER_MODES]);
  expect(await refusal(() => parseAnswerMode("dirct"))).toBe(
    'there is no mode "dirct" (--mode) - did you mean "direct"?',
  );
});
