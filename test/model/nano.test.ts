import { expect, test } from "bun:test";
import { embeddedRecipes } from "../../src/config/embedded.ts";
import { loadRecipe } from "../../src/config/load.ts";
import { almanac } from "../../src/data/almanac.ts";
import { openFolder } from "../../src/model/model-folder.ts";
import { nanoFolder } from "../../src/model/nano/folder.ts";
import { nanoPrompt } from "../../src/model/nano/prompt.ts";
import { nanoSettings } from "../../src/model/nano/settings.ts";
import { createTokenizer, type TokenizerJson } from "../../src/model/tokenizer.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { PromptTemplate } from "../../src/rollout/template.ts";

const files = nanoFolder();
const read = (file: string): unknown => JSON.parse(new TextDecoder().decode(files.bytes(file)));
const tokenizer = createTokenizer(read("tokenizer.json") as TokenizerJson);
const world = almanac();
const prompts = [0, 1, 2, 3].map(
  (shots) =>
    new PromptTemplate(
      tokenizer,
      nanoPrompt,
      tagProfile("icrl"),
      world.demonstrations.slice(0, shots),
    ),
);

test("nano has 918,912 parameters in at most 2 MB", () => {
  using folder = openFolder(files);
  const sizes = [...folder.tensors.values()].map(({ entry }) =>
    entry.shape.reduce((product, size) => product * size, 1),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(918_912);
  expect(files.bytes("model.safetensors").length).toBeLessThan(2e6);
  expect(folder.config.eosIds).toEqual([0]);
});

test("every token of nano's vocabulary has bytes, and the end token ends", () => {
  expect(tokenizer.vocabSize).toBe(1024);
  for (let id = 0; id < 1024; id++) expect(tokenizer.tokenBytes(id).length).toBeGreaterThan(0);
  expect(tokenizer.eosIds).toEqual([0]);
});

test.each(["think", "search", "code", "information", "answer"])(
  "%s is one token inside its tag",
  (word) => {
    const ids = tokenizer.encode(`<${word}> the </${word}>\n`);
    const pieces = ids.map((id) => tokenizer.decode([id]));
    expect(pieces).toEqual(["<", word, ">", " the", " </", word, ">\n"]);
  },
);

test("prompts have no start token and grow by a demonstration each", () => {
  const question = world.validation.find(({ meta }) => meta["hops"] === 1)!.question;
  const lengths = prompts.map((prompt) => prompt.render(question).numTokens);
  for (const prompt of prompts) expect(prompt.render(question).runs[0]![0]).not.toBe(0);
  expect(lengths[0]).toBeLessThan(80);
  expect(lengths[3]).toBeLessThan(340);
  expect(lengths.toSorted((a, b) => a - b)).toEqual(lengths);
});

test("the boundary between preamble and question does not depend on the question", () => {
  for (const { question } of world.validation.slice(0, 50)) {
    const { text, runs } = prompts[3]!.render(question);
    expect(tokenizer.encode(text)).toEqual(runs.flatMap((run) => [...run]));
  }
});

const nanoRecipes = Object.keys(embeddedRecipes).filter(
  (source) => loadRecipe({ source, overrides: [] }).policy.model === "nano",
);
test.each(nanoRecipes)("recipe %s speaks nano's words", (name) => {
  const { prompt, tool } = loadRecipe({ source: name, overrides: [] });
  const { handOver, toolsInstruction, code, result, ...words } = nanoPrompt;
  const withPython = "python" in tool;
  const calls = {
    ...("search" in tool ? { search: words.format.call } : {}),
    python: code,
  };
  const format = withPython ? { ...words.format, calls, answer: result } : words.format;
  const instruction = withPython ? toolsInstruction : words.instruction;
  expect(prompt).toEqual({ ...words, format, instruction, hand_over: handOver });
});

test("the settings inside the executable are those that pretraining writes", () => {
  const made = nanoSettings(read("tokenizer.json") as TokenizerJson);
  expect(read("tokenizer_config.json")).toEqual(
    JSON.parse(new TextDecoder().decode(made.bytes("tokenizer_config.json"))),
  );
});
