// `train.lora` in a recipe: its defaults, and what is refused in a line.

import { describe, expect, test } from "bun:test";
import { LORA_TARGETS } from "../../ffi/lora.ts";
import { UserError } from "../../src/config/errors.ts";
import { parseRecipe } from "../../src/config/load.ts";
import { movesAnchor } from "../../src/config/recipe.ts";

const loraOf = (text: string) => parseRecipe(`name: x\n${text}`, "x.yaml").train.lora;

test("without it all weights learn; empty, rank 32 and alpha 64 at every matrix of a layer", () => {
  expect(loraOf("")).toBeUndefined();
  expect(loraOf("train: { lora: {} }")).toEqual({ rank: 32, alpha: 64, targets: [...LORA_TARGETS] });
});

function refusal(text: string): string {
  try {
    parseRecipe(`name: x\n${text}`, "x.yaml");
  } catch (error) {
    if (error instanceof UserError) return error.describe();
    throw error;
  }
  return "accepted";
}

describe("refused in one line", () => {
  const TABLE: readonly [string, string, string][] = [
    ["a target that is none", "targets: [q_proj, x_proj]", 'did you mean "q_proj"?'],
    ["no target", "targets: []", "train.lora.targets"],
    ["a target named twice", "targets: [q_proj, q_proj]", "a target is named twice"],
    ["a rank of 0", "rank: 0", "train.lora.rank"],
    ["half a rank", "rank: 1.5", "train.lora.rank"],
    ["a negative alpha", "alpha: -1", "train.lora.alpha"],
    ["a key that is none", "rnak: 3", 'did you mean "rank"?'],
  ];
  test.each(TABLE)("%s", (_claim, lora, line) => {
    const told = refusal(`train: { lora: { ${lora} } }`);
    expect(told).toContain(line);
    expect(told).not.toContain("\n");
  });
  test("moments carried to adapters that begin anew, with the two ways out", () => {
    const line = refusal("train: { lora: {} }\ncarry: { optimizer: true }");
    expect(line).toContain("carry.optimizer: false or carry.reference: true");
  });
});

test("the anchor moves where there is a KL term and the reference is not carried", () => {
  const recipe = (text: string) => parseRecipe(`name: x\n${text}`, "x.yaml");
  expect(movesAnchor(recipe(""))).toBe(true);
  expect(movesAnchor(recipe("carry: { reference: true }"))).toBe(false);
  expect(movesAnchor(recipe("train: { objective: { kl: { coefficient: 0 } } }"))).toBe(false);
});
