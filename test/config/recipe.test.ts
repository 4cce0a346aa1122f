import { describe, expect, test } from "bun:test";
import { embeddedRecipes } from "../../src/config/embedded.ts";
import { UserError } from "../../src/config/errors.ts";
import { loadRecipe, parseRecipe, recipeText } from "../../src/config/load.ts";

/** The line a person would see. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError) return error.describe();
    throw error;
  }
  return "accepted";
}

describe("a recipe file with a mistake names line, column and what was meant", () => {
  const table: readonly [claim: string, text: string, line: string][] = [
    [
      "unknown key",
      "name: x\ntrain:\n  learning_rat: 1\n",
      'unknown key "train.learning_rat" (x.yaml:3:3) - did you mean "learning_rate"?',
    ],
    [
      "unknown key in a list",
      "name: x\nstages:\n  - shots: 1\n    stepz: 3\n    steps: 3\n",
      'unknown key "stages.0.stepz" (x.yaml:4:5) - did you mean "steps"?',
    ],
    [
      "key of another section",
      "name: x\nmax_calls: 3\n",
      'unknown key "max_calls" (x.yaml:2:1) - did you mean "rollout.max_calls"?',
    ],
    [
      "unlike any key",
      "name: x\ntrain:\n  objective:\n    foo: 2\n",
      'unknown key "train.objective.foo" (x.yaml:4:5) - ' +
        "known: clip_low, clip_high, clip_dual, kl, reduction, entropy",
    ],
    ["wrong type", "name: x\nseed: one\n", "seed: expected number, received string (x.yaml:2:1)"],
    [
      "wrong option",
      "name: x\ntrain:\n  objective: { reduction: token_maen }\n",
      'train.objective.reduction: Invalid option: expected one of "token_mean"|' +
        '"sequence_mean"|"group_mean"|"sequence_sum"|"sequence_sum_over_max" (x.yaml:3:16) - did you mean "token_mean"?',
    ],
    ["missing key", "train: {}\n", "name: expected string, received undefined (x.yaml:1:1)"],
    ["twice the same key", "name: x\nname: y\n", "Map keys must be unique (x.yaml:2:1)"],
    ["no map", "- 1\n", "a recipe is a map of keys (x.yaml:1:1)"],
    [
      "unknown parent",
      "extends: nanno\n",
      'unknown recipe "nanno" (x.yaml:1:1) - did you mean "nano"?',
    ],
  ];
  test.each(table)("%s", (_claim, text, line) => {
    expect(refusal(() => parseRecipe(text, "x.yaml"))).toBe(line);
  });
});

describe("a combination that would be wrong is refused with the reason", () => {
  const table: readonly [setting: string, reason: string][] = [
    ["rollout.top_p=0.95", "biases the ratio"],
    ["rollout.samples_per_prompt=1", "compares the samples of one prompt"],
    ["rollout.context=100", "leaves no room for a prompt"],
    ["rollout.max_turn_tokens=113", "would never be reached"],
    ["train.updates_per_step=17", "a group is never split, and a step has 16"],
    ["train.max_batch_tokens=1000", "a rollout of the whole context, 1024, must fit in one"],
    ["policy.dtype=bf16", "a CPU computes in f32"],
    ["train.master_weights=false", "an f32 policy's weights are the masters"],
    ["train.optimizer={offload: true}", "a CPU's memory is the host's"],
    ["stages.0.demos=[a]", "1 demos named for 3 shots"],
    ["stages.1.demos=[a, a]", "named twice"],
    ["stages.0.gate={zero_shot_em: 0.2}", "the first stage can have no gate"],
    ["train.warmup={steps: 3, share: 0.1}", "either steps or share"],
  ];
  test.each(table)("%s", (setting, reason) => {
    const line = refusal(() => loadRecipe({ source: "nano", overrides: [setting] }));
    expect(line).toContain(reason);
    expect(line).toContain(`(--set ${setting})`);
  });
});

describe("overrides", () => {
  const refusals: readonly [setting: string, line: string][] = [
    ["train", "an override is key=value (--set train) - write --set train.learning_rate=1e-3"],
    ["stages.7.steps=1", 'no list entry "7" (--set stages.7.steps=1) - entries are 0 to 2'],
    ["stagez.0=1", 'unknown key "stagez" (--set stagez.0=1) - did you mean "stages"?'],
    [
      "train.learning_rat=1",
      'unknown key "train.learning_rat" (--set train.learning_rat=1) - ' +
        'did you mean "learning_rate"?',
    ],
  ];
  test.each(refusals)("%s is refused", (setting, line) => {
    expect(refusal(() => loadRecipe({ source: "nano", overrides: [setting] }))).toBe(line);
  });

  test("an override changes its key and nothing else; the last one wins", () => {
    const overrides = ["train.betas=[0.8, 0.9]", "stages.1.steps=7", "seed=3", "seed=4"];
    const changed = loadRecipe({ source: "nano", overrides });
    const base = loadRecipe({ source: "nano" });
    expect(changed).toEqual({
      ...base,
      seed: 4,
      train: { ...base.train, betas: [0.8, 0.9] },
      stages: base.stages.with(1, { ...base.stages[1]!, steps: 7 }),
    });
  });
});

describe("embedded recipes", () => {
  test.each(Object.keys(embeddedRecipes))("%s is valid and carries its own name", (name) => {
    expect(loadRecipe({ source: name }).name).toBe(name);
  });

  test.each(Object.keys(embeddedRecipes))("%s survives being frozen and read again", (name) => {
    const recipe = loadRecipe({ source: name });
    expect(parseRecipe(recipeText(recipe), "recipe.yaml")).toEqual(recipe);
  });

  test("the comparisons differ from nano in stages only, and take as many steps", () => {
    const nano = loadRecipe({ source: "nano" });
    for (const source of ["nano-zero-shot", "nano-4stage"]) {
      const other = loadRecipe({ source });
      expect(totalSteps(other)).toBe(totalSteps(nano));
      expect(other).toEqual({
        ...nano,
        name: other.name,
        description: other.description,
        stages: other.stages,
      });
    }
  });

  test("an empty recipe has the paper's values", () => {
    const { train, rollout, stages } = parseRecipe("name: x", "x.yaml");
    expect(stages.map(({ shots }) => shots)).toEqual([3, 2, 0]);
    expect([rollout.prompts_per_step, rollout.samples_per_prompt]).toEqual([64, 8]);
    expect([train.learning_rate, train.weight_decay]).toEqual([1e-6, 0.01]);
    expect(train.objective.kl).toEqual({ kind: "k3", coefficient: 0.001 });
  });
});

function totalSteps(recipe: { readonly stages: readonly { readonly steps: number }[] }): number {
  return recipe.stages.reduce((sum, { steps }) => sum + steps, 0);
}
