// A run's memory: refused before anything is loaded where it cannot be enough, limited while the
// run lives, and told in a line.

import { Device } from "../../../ffi/device.ts";
import { setMemoryLimit } from "../../../ffi/native.ts";
import { bytesText } from "../../config/bytes.ts";
import { UserError } from "../../config/errors.ts";
import type { Recipe } from "../../config/recipe.ts";
import type { FolderSource } from "../../model/byte-source.ts";
import { readConfig } from "../../model/model-folder.ts";
import type { Session } from "../session.ts";
import { updateBudget } from "./budget.ts";
import { engineShape, shapeOn } from "./planner.ts";
import { stagePrompts } from "./prompts.ts";
import { longestResponse, planRecipe, requireRoom, residentOf, stagesOf } from "./recipe-plan.ts";

/** On the CPU the engine keeps to the budget; disposing lifts the limit. */
export function limitMemory(recipe: Recipe, model: FolderSource): Disposable {
  const { device: kind, dtype } = recipe.policy;
  using device = Device.open(kind);
  const { memoryBytes = 0 } = updateBudget(recipe, device);
  const shape = shapeOn(device, readConfig(model).policy, dtype, recipe.train.lora);
  requireRoom(residentOf(recipe, shape), memoryBytes);
  if (kind === "cpu") setMemoryLimit(memoryBytes);
  return { [Symbol.dispose]: () => setMemoryLimit(0) };
}

/** Of the longest rollouts that the recipe allows. */
export function memoryFact({ recipe, device, policy, world, prompts }: Session): string {
  const { memoryBytes: budgetBytes = 0 } = updateBudget(recipe, device);
  const questions = stagePrompts(recipe, world, world.demonstrations, prompts);
  try {
    const plan = planRecipe({
      recipe,
      shape: engineShape(policy, recipe.train.lora),
      budgetBytes,
      response: longestResponse(recipe),
      stages: stagesOf(recipe, questions),
    });
    const most = Math.max(...plan.stages.map(({ batches }) => batches.count));
    return (
      `memory: ${bytesText(plan.residentBytes)} for the whole run, at most ` +
      `${bytesText(plan.peakBytes)} of ${bytesText(budgetBytes)} in a step of ` +
      `${most} micro-batches`
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return `memory: the longest rollouts do not fit: ${error.message}`;
  }
}
