// `icrl data`: what would be trained on. Reads data files, or those of a recipe, and says what was
// understood, what is dropped and why, and how prompts look to the policy. Nothing is trained, and
// no weights are read.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import type { PromptModel } from "../train/prompt-model.ts";
import type { DataRequest } from "./data-report.ts";
import { collect } from "./options.ts";

interface Options {
  readonly recipe?: string;
  readonly model?: string;
  readonly set?: readonly string[];
  readonly json?: boolean;
}

/** Its prompts are shown for a file when no recipe is named. */
const FILE_RECIPE = "search-qwen2.5-3b";

export function register(program: Command): void {
  program
    .command("data")
    .description("show what a data file, or a recipe's data, is understood as")
    .argument("[files...]", "files or globs (default: what the recipe trains and evaluates on)")
    .option("--recipe <name|file>", `whose prompts and limits (default for files: ${FILE_RECIPE})`)
    .option("--model <folder|name>", "whose tokens are counted (default: the recipe's)")
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--json", "one JSON object")
    .action(run);
}

async function run(files: readonly string[], options: Options): Promise<void> {
  const { describeData, reportText } = await import("./data-report.ts");
  const { demonstrationsOf } = await import("../train/world.ts");
  const recipe = await loadNamed(files, options);
  const model = await openModel(recipe, options);
  const demonstrations = demonstrationsOf(recipe);
  const data = await loadData(files, recipe);
  const report = describeData({ recipe, ...data, demonstrations, model });
  process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : reportText(report));
}

async function loadNamed(files: readonly string[], options: Options): Promise<Recipe> {
  const { defaultRecipe } = await import("../config/embedded.ts");
  const { loadRecipe } = await import("../config/load.ts");
  const { recipe, model, set = [] } = options;
  const source = recipe ?? (files.length > 0 ? FILE_RECIPE : defaultRecipe);
  const overrides = model === undefined ? set : [...set, `policy.model=${JSON.stringify(model)}`];
  return loadRecipe({ source, overrides });
}

/** Files as they are, or what a run of the recipe would have. */
async function loadData(
  files: readonly string[],
  { data }: Recipe,
): Promise<Pick<DataRequest, "sources" | "dataset">> {
  const { loadAll, loadDataset } = await import("../data/dataset.ts");
  if (files.length > 0) {
    const specs = files.map((path) => ({ path }));
    return { sources: await loadAll(specs, "train"), dataset: undefined };
  }
  const dataset = await loadDataset(data);
  return { sources: dataset.sources, dataset };
}

/** A model that was asked for must be there; without the recipe's, tokens are not counted. */
async function openModel(recipe: Recipe, { model }: Options): Promise<PromptModel | string> {
  const { openPromptModel } = await import("../train/prompt-model.ts");
  try {
    return openPromptModel(recipe);
  } catch (error) {
    if (!(error instanceof UserError) || model !== undefined) throw error;
    return `${recipe.policy.model}: ${error.message}`;
  }
}
