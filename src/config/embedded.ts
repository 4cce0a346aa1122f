// The named recipes and demonstrations, as text inside the executable. Not parsed here.

import codeDemonstrations from "./demos/code.yaml" with { type: "text" };
import pythonDemonstrations from "./demos/python.yaml" with { type: "text" };
import searchDemonstrations from "./demos/search.yaml" with { type: "text" };
import code8b from "./recipes/code-qwen3-8b.yaml" with { type: "text" };
import math8b from "./recipes/math-qwen3-8b.yaml" with { type: "text" };
import mathRetool from "./recipes/math-retool.yaml" with { type: "text" };
import mathTorl from "./recipes/math-torl.yaml" with { type: "text" };
import nano4Stage from "./recipes/nano-4stage.yaml" with { type: "text" };
import nanoPython from "./recipes/nano-python.yaml" with { type: "text" };
import nanoSearchPython from "./recipes/nano-search-python.yaml" with { type: "text" };
import nanoSearchR1 from "./recipes/nano-search-r1.yaml" with { type: "text" };
import nanoZeroShot from "./recipes/nano-zero-shot.yaml" with { type: "text" };
import nano from "./recipes/nano.yaml" with { type: "text" };
import search4Stage from "./recipes/search-4stage.yaml" with { type: "text" };
import search14b from "./recipes/search-qwen2.5-14b.yaml" with { type: "text" };
import search3b from "./recipes/search-qwen2.5-3b.yaml" with { type: "text" };
import search7b from "./recipes/search-qwen2.5-7b.yaml" with { type: "text" };
import searchR1 from "./recipes/search-r1.yaml" with { type: "text" };
import searchZeroShot from "./recipes/search-zero-shot.yaml" with { type: "text" };
import rewardPython from "./rewards/reward.py.txt" with { type: "text" };
import rewardTypeScript from "./rewards/reward.ts.txt" with { type: "text" };

/** Recipe texts by name. */
export const embeddedRecipes: Readonly<Record<string, string>> = {
  nano,
  "nano-zero-shot": nanoZeroShot,
  "nano-4stage": nano4Stage,
  "nano-search-r1": nanoSearchR1,
  "nano-python": nanoPython,
  "nano-search-python": nanoSearchPython,
  "search-qwen2.5-3b": search3b,
  "search-qwen2.5-7b": search7b,
  "search-qwen2.5-14b": search14b,
  "search-4stage": search4Stage,
  "search-zero-shot": searchZeroShot,
  "search-r1": searchR1,
  "math-qwen3-8b": math8b,
  "math-retool": mathRetool,
  "math-torl": mathTorl,
  "code-qwen3-8b": code8b,
};

/** Texts of demonstrations by name. */
export const embeddedDemonstrations: Readonly<Record<string, string>> = {
  search: searchDemonstrations,
  python: pythonDemonstrations,
  code: codeDemonstrations,
};

/** Reward files to start from, by the name they are written under. */
export const embeddedRewards: Readonly<Record<string, string>> = {
  "reward.ts": rewardTypeScript,
  "reward.py": rewardPython,
};

export const defaultRecipe = "nano";
