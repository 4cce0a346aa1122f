// The named recipes, as text inside the executable. Not parsed here.

import nano4Stage from "./recipes/nano-4stage.yaml" with { type: "text" };
import nanoZeroShot from "./recipes/nano-zero-shot.yaml" with { type: "text" };
import nano from "./recipes/nano.yaml" with { type: "text" };

/** Recipe texts by name. */
export const embeddedRecipes: Readonly<Record<string, string>> = {
  nano,
  "nano-zero-shot": nanoZeroShot,
  "nano-4stage": nano4Stage,
};

export const defaultRecipe = "nano";
