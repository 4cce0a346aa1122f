// How a model writes prompts, without its weights: tokenizer and chat template of its folder.

import type { Recipe } from "../config/recipe.ts";
import { frameTokens, openTokenizer } from "../model/tokenizer-folder.ts";
import { modelFolder } from "./models.ts";
import type { PromptModel } from "./prompt-text.ts";

/** Throws UserError where the folder or its tokenizer can't be read. */
export function openPromptModel(policy: Pick<Recipe["policy"], "model">): PromptModel {
  const folder = modelFolder(policy);
  const tokenizer = openTokenizer(folder);
  return { tokenizer, frame: frameTokens(folder, tokenizer) };
}
