// The recipe's words for the prompt over those of the rollout template.

import type { Recipe } from "../config/recipe.ts";
import { DEFAULT_PROMPT_TEXT, type PromptText } from "../rollout/template.ts";

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
