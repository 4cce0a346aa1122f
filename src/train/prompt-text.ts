// The recipe's words for the prompt over those that its tag profile has, and its prompts.

import type { Recipe } from "../config/recipe.ts";
import type { TagProfile } from "../reward/tags.ts";
import { PromptTemplate } from "../rollout/template.ts";
import { defaultPromptText, type FormatLines, type PromptText } from "../rollout/words.ts";
import type { Demonstration } from "../types.ts";
import type { PromptModel } from "./prompt-model.ts";

export function promptTemplate(
  { prompt }: Recipe,
  demonstrations: readonly Demonstration[],
  { tokenizer, tags, frame }: PromptModel,
): PromptTemplate {
  return new PromptTemplate(tokenizer, promptText(prompt, tags), tags, demonstrations, frame);
}

export function promptText(
  { instruction, format, examples, hand_over, question }: Recipe["prompt"],
  tags: TagProfile,
): PromptText {
  const base = defaultPromptText(tags);
  return {
    instruction: instruction ?? base.instruction,
    format: formatText(format, base.format),
    examples: examples ?? base.examples,
    handOver: hand_over ?? base.handOver,
    question: question ?? base.question,
  };
}

/** A tool's own line comes before the recipe's for all tools, and that before the tool's usual one. */
function formatText(given: Recipe["prompt"]["format"], base: FormatLines): FormatLines {
  const usual = given.call === undefined ? base.calls : {};
  return {
    think: given.think ?? base.think,
    call: given.call ?? base.call,
    calls: { ...usual, ...given.calls },
    observation: given.observation ?? base.observation,
    answer: given.answer ?? base.answer,
  };
}
