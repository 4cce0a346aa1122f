// `icrl plan`: what a run of a recipe will take of memory and work, and how its steps will be
// split, before any weights are read. Refuses with numbers what cannot fit. It predicts no time.

import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import type { PolicyConfig } from "../../ffi/policy.ts";
import type { EngineShape } from "../train/plan/engine-shape.ts";
import type { PlannedStage } from "../train/plan/recipe-plan.ts";
import { parseBytes } from "../config/bytes.ts";
import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { collect, parseDevice } from "./options.ts";
import { type GivenShape, parseShape } from "./plan-shape.ts";

interface Options {
  readonly recipe?: string;
  readonly set?: readonly string[];
  readonly device?: DeviceKind;
  readonly memory?: number;
  readonly card?: string;
  readonly shape?: GivenShape;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("plan")
    .description("say what a run takes of memory and work, before anything is loaded")
    .option("--recipe <name|file>", "an embedded recipe or a YAML file (default: nano)")
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--device <cpu|cuda>", "where it would run (default: the recipe's)", parseDevice)
    .option("--memory <amount>", "such as 24GiB (default: what is available there)", (text) =>
      parseBytes(text, "--memory"),
    )
    .option("--card <name>", "for a CUDA card that need not be here: h200, h100, a100, b200, ...")
    .option(
      "--shape <shared,own,sampled,turns,observation>",
      "tokens of a step's rollouts; what is left empty comes from the recipe",
      parseShape,
    )
    .option("--json", "one JSON object")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { planRecipe, longestResponse } = await import("../train/plan/recipe-plan.ts");
  const { planLines, planRecord } = await import("./plan-report.ts");
  const { outputOf } = await import("./screen/screen.ts");
  refuseTwoPlaces(options);
  const recipe = await loadNamed(options);
  const budgetBytes = await budgetOf(recipe, options);
  const shape = await engineOf(recipe, options);
  const { sampled, turns, observation } = options.shape ?? {};
  const longest = longestResponse(recipe);
  const plan = planRecipe({
    recipe,
    shape,
    budgetBytes,
    response: {
      sampled: sampled ?? longest.sampled,
      turns: turns ?? (sampled === undefined ? longest.turns : 1),
      observation: observation ?? longest.observation,
    },
    stages: await stagesOf(recipe, options.shape ?? {}),
  });
  const text =
    options.json === true
      ? JSON.stringify(planRecord(plan))
      : planLines(plan, outputOf(process.stdout, process.env).style).join("\n");
  process.stdout.write(`${text}\n`);
}

async function loadNamed({ recipe, device, card, set = [] }: Options): Promise<Recipe> {
  const { defaultRecipe } = await import("../config/embedded.ts");
  const { loadRecipe } = await import("../config/load.ts");
  const { onDevice } = await import("../train/policy-asked.ts");
  const overrides = [...onDevice(device ?? (card === undefined ? undefined : "cuda")), ...set];
  return loadRecipe({ source: recipe ?? defaultRecipe, overrides });
}

/** A CUDA device need not be here where its memory is said. */
async function engineOf(recipe: Recipe, options: Options): Promise<EngineShape> {
  const { shapeOn } = await import("../train/plan/planner.ts");
  const { Device } = await import("../../ffi/device.ts");
  const { policy, train } = recipe;
  const { lora } = train;
  const config = await configOf(policy, options);
  const { device, dtype } = policy;
  if (device === "cuda" && (options.memory ?? options.card) !== undefined) {
    return { config, dtype, device, threads: 1, panel: 1, lora };
  }
  using opened = Device.open(device);
  return shapeOn(opened, config, dtype, lora);
}

/** Of the folder; with a whole shape the published sizes will do where there is none. */
async function configOf(policy: Recipe["policy"], { shape }: Options): Promise<PolicyConfig> {
  const { readConfig } = await import("../model/model-folder.ts");
  const { publishedConfig } = await import("../model/published.ts");
  const { modelFolder } = await import("../train/models.ts");
  const published = publishedConfig(policy.model);
  try {
    return readConfig(modelFolder(policy)).policy;
  } catch (error) {
    if (!(error instanceof UserError) || published === undefined) throw error;
    if (shape?.shared !== undefined && shape.own !== undefined) return published;
    const hint = "--shape 1500,100,400 plans without it";
    const why = "whose tokenizer counts the prompts, is not here";
    throw new UserError(`${policy.model}, ${why}`, { where: error.where, hint });
  }
}

/** What a run would take at most, and not more than there is now. */
async function budgetOf(recipe: Recipe, { memory, card }: Options): Promise<number> {
  if (memory !== undefined) return memory;
  const { Device } = await import("../../ffi/device.ts");
  const { cardBytes } = await import("../train/plan/cards.ts");
  const { deviceMemory } = await import("../train/plan/machine.ts");
  const { tensorBytes, updateBudget } = await import("../train/plan/budget.ts");
  if (card !== undefined) return tensorBytes(recipe.train, () => cardBytes(card));
  using device = Device.open(recipe.policy.device);
  const { memoryBytes = Infinity } = updateBudget(recipe, device);
  return Math.min(memoryBytes, deviceMemory(device).availableBytes);
}

/** A card is a CUDA device, and has the memory that it has. */
function refuseTwoPlaces({ card, memory, device }: Options): void {
  const other = memory !== undefined ? "--memory" : device === "cpu" ? "--device cpu" : undefined;
  if (card === undefined || other === undefined) return;
  throw new UserError(`a card and ${other} contradict each other`, { where: "--card", exitCode: 2 });
}

/** Of the recipe, or one of the shape where that says all about prompts. */
async function stagesOf(recipe: Recipe, { shared, own }: GivenShape): Promise<PlannedStage[]> {
  const { prompts_per_step: count } = recipe.rollout;
  if (shared !== undefined && own !== undefined) {
    const own_P = Array.from({ length: count }, () => own);
    return [{ name: "as given", shots: undefined, prompts: { shared, own_P } }];
  }
  const { stagesOf: stages } = await import("../train/plan/recipe-plan.ts");
  const { stagePrompts } = await import("../train/plan/prompts.ts");
  const { openPromptModel } = await import("../train/prompt-model.ts");
  const { demonstrationsOf, taskPart } = await import("../train/world.ts");
  const { loadDataset } = await import("../data/dataset.ts");
  const { parts } = await loadDataset(recipe.data);
  const questions = {
    train: parts.flatMap(({ tasks }) => tasks),
    parts: parts.map(({ tasks, weight }) => taskPart(tasks, weight)),
  };
  const model = openPromptModel(recipe);
  const prompts = stagePrompts(recipe, questions, demonstrationsOf(recipe), model);
  return stages(recipe, (index) => {
    const real = prompts(index);
    return {
      shared: shared ?? real.shared,
      own_P: own === undefined ? real.own_P : real.own_P.map(() => own),
    };
  });
}
