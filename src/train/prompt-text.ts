// The recipe's words for the prompt over those of the rollout template, and its prompts.

import type { Recipe } from "../config/recipe.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { tagProfile } from "../reward/tags.ts";
import {
  DEFAULT_PROMPT_TEXT,
  type PromptFrame,
  PromptTemplate,
  type PromptText,
} from "../rollout/template.ts";
import type { Demonstration } from "../types.ts";

/** A model's way to write prompts. */
export interface PromptModel {
  readonly tokenizer: Tokenizer;
  readonly frame: PromptFrame;
}

export function promptTemplate(
  { tags, prompt }: Recipe,
  demonstrations: readonly Demonstration[],
  { tokenizer, frame }: PromptModel,
): PromptTemplate {
  return new PromptTemplate(tokenizer, promptText(prompt), tagProfile(tags), demonstrations, frame);
}

export function promptText({
  instruction,
  format,
  examples,
  hand_over,
  question,
}: Recipe["prompt"]): PromptText {
  const base = DEFAULT_PROMPT_TEXT;
  return {
    instruction: instruction ?? base.instruction,
    format: {
      think: format.think ?? base.format.think,
      call: format.call ?? base.format.call,
      observation: format.observation ?? base.format.observation,
      answer: format.answer ?? base.format.answer,
    },
    examples: examples ?? base.examples,
    handOver: hand_over ?? base.handOver,
    question: question ?? base.question,
  };
}
