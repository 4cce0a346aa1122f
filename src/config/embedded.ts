// The named recipes and demonstrations, as text inside the executable. Not parsed here.

import searchDemonstrations from "./demos/search.yaml" with { type: "text" };
import nano4Stage from "./recipes/nano-4stage.yaml" with { type: "text" };
import nanoZeroShot from "./recipes/nano-zero-shot.yaml" with { type: "text" };
import nano from "./recipes/nano.yaml" with { type: "text" };

/** Recipe texts by name. */
export const embeddedRecipes: Readonly<Record<string, string>> = {
  nano,
  "nano-zero-shot": nanoZeroShot,
  "nano-4stage": nano4Stage,
};

/** Texts of demonstrations by name. */
export const embeddedDemonstrations: Readonly<Record<string, string>> = {
  search: searchDemonstrations,
};

export const defaultRecipe = "nano";
