// The named recipes and demonstrations, as text inside the executable. Not parsed here.

import searchDemonstrations from "./demos/search.yaml" with { type: "text" };
import nano4Stage from "./recipes/nano-4stage.yaml" with { type: "text" };
import nanoSearchR1 from "./recipes/nano-search-r1.yaml" with { type: "text" };
import nanoZeroShot from "./recipes/nano-zero-shot.yaml" with { type: "text" };
import nano from "./recipes/nano.yaml" with { type: "text" };
import search4Stage from "./recipes/search-4stage.yaml" with { type: "text" };
import search14b from "./recipes/search-qwen2.5-14b.yaml" with { type: "text" };
import search3b from "./recipes/search-qwen2.5-3b.yaml" with { type: "text" };
import search7b from "./recipes/search-qwen2.5-7b.yaml" with { type: "text" };
import searchR1 from "./recipes/search-r1.yaml" with { type: "text" };
import searchZeroShot from "./recipes/search-zero-shot.yaml" with { type: "text" };

/** Recipe texts by name. */
export const embeddedRecipes: Readonly<Record<string, string>> = {
  nano,
  "nano-zero-shot": nanoZeroShot,
  "nano-4stage": nano4Stage,
  "nano-search-r1": nanoSearchR1,
  "search-qwen2.5-3b": search3b,
  "search-qwen2.5-7b": search7b,
  "search-qwen2.5-14b": search14b,
  "search-4stage": search4Stage,
  "search-zero-shot": searchZeroShot,
  "search-r1": searchR1,
};

/** Texts of demonstrations by name. */
export const embeddedDemonstrations: Readonly<Record<string, string>> = {
  search: searchDemonstrations,
};

export const defaultRecipe = "nano";
