// From a request to a fine-tuning that is ready to go: the recorded run, the rollouts chosen from
// it, the policy to start from, and a new run directory. Nothing is trained here.

import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UserError } from "../config/errors.ts";
import { recipeText, withAbsolutePaths } from "../config/load.ts";
import type { Recipe } from "../config/recipe.ts";
import { parseStageRange, stageName } from "../curriculum/stages.ts";
import { freshRunPath, RunDirectory, RunFolder, splitRunSpec } from "../run/directory.ts";
import type { Rollout } from "../types.ts";
import { checkpointFolder } from "./checkpoint-folder.ts";
import { modelFolder } from "./models.ts";
import { Session } from "./session.ts";
import { selectExamples, type Selection, type SelectionRule } from "./sft-examples.ts";
import type { SftOptions, SftParts } from "./sft.ts";
import { openWorld } from "./world.ts";

export interface SftRequest {
  /** The folder of a recorded run. */
  readonly run: string;
  /** "base", or a checkpoint of it. */
  readonly from: string;
  /** Stages whose rollouts are taken; absent: all. */
  readonly stages: string | undefined;
  readonly minReward: number;
  /** Keep the prompts with the demonstrations that the rollouts saw, or show none. */
  readonly demonstrations: "keep" | "drop";
  /** The folder to write; absent: a new one under runs/. */
  readonly out: string | undefined;
  readonly overrides: readonly string[];
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number | undefined; // absent: the recipe's
}

export type OpenedSft = Omit<SftParts, "observer" | "shouldStop"> & AsyncDisposable;

/** Throws UserError before anything is written, where the request is wrong. To be closed. */
export async function openSft(request: SftRequest): Promise<OpenedSft> {
  await using stack = new AsyncDisposableStack();
  refuseCheckpoint(request.run);
  const { recipe, weights } = checkpointFolder(`${request.run}@${request.from}`, request.overrides);
  const out = request.out ?? freshRunPath("runs", `${basename(resolve(request.run))}-sft`);
  if (existsSync(join(out, "recipe.yaml"))) {
    throw new UserError("this run exists already", { where: out, hint: "name a new folder" });
  }
  const rule = { minReward: request.minReward, stages: stagesAsked(request, recipe) };
  const world = await openWorld(recipe);
  stack.use(world.toolbox);
  stack.use(world.scorer);
  const session = stack.use(Session.open(recipe, weights, world));
  const selection = select(request, rule, session);
  const directory = stack.use(RunDirectory.create(out, recipeText(withAbsolutePaths(recipe))));
  directory.store.setMeta("kind", "sft");
  const owned = stack.move();
  return {
    recipe,
    session,
    directory,
    model: modelFolder(recipe.policy),
    from: request.from,
    selection,
    options: optionsOf(request, recipe),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function refuseCheckpoint(run: string): void {
  const { path, checkpoint } = splitRunSpec(run);
  if (checkpoint === undefined) return;
  const hint = `--run ${path} --from ${checkpoint}`;
  throw new UserError("the rollouts are a run's, not a checkpoint's", { where: run, hint });
}

function stagesAsked({ stages }: SftRequest, recipe: Recipe): ReadonlySet<string> | undefined {
  if (stages === undefined) return undefined;
  const { first, last } = parseStageRange(stages, recipe.stages.length);
  return new Set(recipe.stages.map((_, i) => stageName(i)).slice(first, last + 1));
}

function select(request: SftRequest, rule: SelectionRule, session: Session): Selection {
  using reader = new RunFolder(request.run).openReader();
  const template = session.shotsTemplate(0);
  const kept = ({ tokens_L, promptTokens }: Rollout) => tokens_L.subarray(0, promptTokens);
  const dropped = ({ task }: Rollout) =>
    Int32Array.from(template.render(task.question).runs.flatMap((run) => [...run]));
  const promptOf = request.demonstrations === "keep" ? kept : dropped;
  const selection = selectExamples(reader, rule, promptOf);
  requireExamples(selection, request);
  return selection;
}

function requireExamples({ examples, counts }: Selection, { run, minReward }: SftRequest): void {
  if (examples.length > 0) return;
  const { rollouts, bestReward } = counts;
  if (rollouts === 0) {
    const hint = "run a stage of it first: icrl run stage1 --run DIR";
    throw new UserError("no rollout of training is recorded", { where: run, hint });
  }
  const what = `none of ${rollouts} recorded rollouts has a reward of at least ${minReward}`;
  const hint = `the best one has ${bestReward.toFixed(3)}: lower it with --min-reward`;
  throw new UserError(what, { where: run, hint });
}

function optionsOf({ epochs, batchSize, learningRate }: SftRequest, { train }: Recipe): SftOptions {
  return { epochs, batchSize, learningRate: learningRate ?? train.learning_rate };
}
