import { describe, expect, test } from "bun:test";
import { loadRecipe } from "../../src/config/load.ts";
import type { Recipe } from "../../src/config/recipe.ts";
import { openDemonstrations } from "../../src/data/demonstration-file.ts";

const load = (source: string): Recipe => loadRecipe({ source });
const base = load("search-qwen2.5-3b");
/** Without what it is called. */
const unnamed = (recipe: Recipe, over: Partial<Recipe> = {}): Recipe => {
  return { ...recipe, name: "", description: "", ...over };
};

describe("the recipes of the paper's search experiments", () => {
  test("differ between sizes in the model, and in what makes it fit one card", () => {
    const lora = { rank: 32, alpha: 64, targets: expect.arrayContaining(["q_proj", "down_proj"]) };
    const changes = {
      "7b": { master_weights: false, optimizer: { state_bits: 8, offload: false } },
      "14b": { lora, learning_rate: 1e-5 },
    } as const;
    for (const [size, change] of Object.entries(changes)) {
      const other = load(`search-qwen2.5-${size}`);
      expect(other.policy.model.toLowerCase()).toBe(`qwen/qwen2.5-${size}-instruct`);
      expect(other.train).toEqual({ ...base.train, ...change });
      expect(unnamed(other, { policy: base.policy, train: base.train })).toEqual(unnamed(base));
    }
  });

  test("differ in the stages alone between a comparison and its run", () => {
    const pairs = [
      ["search-4stage", "search-qwen2.5-7b", "3210"],
      ["search-zero-shot", "search-qwen2.5-3b", "000"],
    ] as const;
    for (const [source, of, shots] of pairs) {
      const [other, run] = [load(source), load(of)];
      expect(other.stages.map((stage) => stage.shots).join("")).toBe(shots);
      expect(unnamed(other, { stages: run.stages })).toEqual(unnamed(run));
    }
  });

  test("show demonstrations that there are", () => {
    const { demonstrations } = openDemonstrations(base.demonstrations!);
    const shots = base.stages.map((stage) => stage.shots);
    expect(Math.max(...shots)).toBeLessThanOrEqual(demonstrations.length);
  });

  test("have room for the paper's longest prompt, all turns and all observations", () => {
    const { context, max_new_tokens, max_calls } = base.rollout;
    const { max_observation_tokens } = base.tool["search"]!;
    expect(context).toBeGreaterThanOrEqual(
      5000 + max_new_tokens + max_calls * max_observation_tokens,
    );
  });
});

test("the Search-R1 baselines show nothing and pay for exact match alone", () => {
  for (const source of ["search-r1", "nano-search-r1"]) {
    const { stages, reward } = load(source);
    expect(stages.every(({ shots }) => shots === 0)).toBe(true);
    expect(reward.profile).toBe("search-r1");
  }
});
