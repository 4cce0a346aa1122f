// From a request to a run that is ready to go: recipe, run directory, checkpoint, policy,
// optimizer. A new run gets a folder of its own; an existing one goes on from its last checkpoint
// with its own recipe. Nothing is trained here.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../config/errors.ts";
import { loadRecipe, parseRecipe, recipeText, withAbsolutePaths } from "../config/load.ts";
import type { Recipe } from "../config/recipe.ts";
import { parseStageRange, stageName, stagesToRun, type StageRange } from "../curriculum/stages.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { freshRunPath, requireFreePath, RunDirectory } from "../run/directory.ts";
import type { RunStart } from "../run/observer.ts";
import { anchorFolder } from "./anchor.ts";
import { latestCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { Learner } from "./learner.ts";
import { modelFolder } from "./models.ts";
import { limitMemory, memoryFact } from "./plan/run-memory.ts";
import { Session } from "./session.ts";
import { openWorld, type World } from "./world.ts";

export interface RunRequest {
  /** "stage1..3"; absent: all that is left. */
  readonly stages: string | undefined;
  /** A name or a file; absent: the run's own, or the default. */
  readonly recipe: string | undefined;
  readonly overrides: readonly string[];
  readonly seed: number | undefined;
  /** The run's folder; absent: a new one under runs/. */
  readonly run: string | undefined;
}

export interface OpenedRun extends AsyncDisposable {
  readonly recipe: Recipe;
  readonly range: StageRange;
  readonly directory: RunDirectory;
  readonly session: Session;
  readonly learner: Learner;
  readonly checkpoint: Checkpoint | undefined;
  readonly model: FolderSource;
}

/**
 * Throws UserError before anything is written, where the request is wrong. The caller closes it.
 */
export async function openRun(request: RunRequest, defaultRecipe: string): Promise<OpenedRun> {
  await using stack = new AsyncDisposableStack();
  const { run } = request;
  const exists = run !== undefined && existsSync(join(run, "recipe.yaml"));
  const prepared = exists ? await continueRun(request, run) : await newRun(request, defaultRecipe);
  const { recipe, range, path, checkpoint, world } = prepared;
  stack.use(world.toolbox);
  stack.use(world.scorer);
  if (prepared.directory !== undefined) stack.use(prepared.directory);
  const model = modelFolder(recipe.policy);
  const weights = checkpoint === undefined ? model : diskFolder(checkpoint.path);
  stack.use(limitMemory(recipe, model));
  const session = stack.use(Session.open(recipe, weights, world));
  const stage = checkpoint?.state.progress.stage ?? 0;
  const anchor = anchorFolder(recipe, path, stage, model);
  const { device, policy } = session;
  const learner = stack.use(Learner.open(recipe, device, policy, anchor, stage));
  const directory = prepared.directory ?? stack.use(RunDirectory.create(path, recipeText(recipe)));
  world.toolbox.recordIn(join(directory.path, RECORDING));
  if (exists) forgetWhatIsLost(directory, checkpoint, request.overrides);
  const owned = stack.move();
  return {
    recipe,
    range,
    directory,
    session,
    learner,
    checkpoint,
    model,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What the tools answered, in the run's folder. */
const RECORDING = "tools.sqlite";

interface PreparedRun {
  readonly recipe: Recipe;
  readonly range: StageRange;
  readonly path: string;
  /** Of a run that goes on. A new run gets its folder when all else is open. */
  readonly directory: RunDirectory | undefined;
  readonly checkpoint: Checkpoint | undefined;
  readonly world: World;
}

async function newRun(request: RunRequest, defaultRecipe: string): Promise<PreparedRun> {
  const seed = request.seed === undefined ? [] : [`seed=${request.seed}`];
  const overrides = [...request.overrides, ...seed];
  const asked = loadRecipe({ source: request.recipe ?? defaultRecipe, overrides });
  const recipe = withAbsolutePaths(asked);
  const range = rangeOf(request, recipe, 0, undefined);
  const path = request.run ?? freshRunPath("runs", `${recipe.name}-seed${recipe.seed}`);
  requireFreePath(path);
  const world = await openWorld(recipe);
  return { recipe, range, path, directory: undefined, checkpoint: undefined, world };
}

async function continueRun(request: RunRequest, run: string): Promise<PreparedRun> {
  const { recipe: other, seed, overrides } = request;
  if (other !== undefined || seed !== undefined) {
    const option = other !== undefined ? "--recipe" : "--seed";
    const hint = "leave it out; --set changes single values from here on";
    throw new UserError(`${run} goes on with its own recipe and seed`, { where: option, hint });
  }
  const directory = RunDirectory.open(run);
  try {
    refuseFineTuned(directory);
    const recipe = parseRecipe(directory.recipeText(), join(run, "recipe.yaml"), overrides);
    const checkpoint = latestCheckpoint(directory);
    const range = rangeOf(request, recipe, checkpoint?.state.progress.stage ?? 0, run);
    const world = await openWorld(recipe);
    return { recipe, range, path: run, directory, checkpoint, world };
  } catch (error) {
    directory[Symbol.dispose]();
    throw error;
  }
}

function refuseFineTuned({ store, path }: RunDirectory): void {
  if (store.meta("kind") !== "sft") return;
  const hint = `start a new run from it: --set policy.model=${join(path, "checkpoints", "sft")}`;
  throw new UserError("this run is a fine-tuning, which can't be gone on with", {
    where: path,
    hint,
  });
}

function rangeOf(
  { stages }: RunRequest,
  recipe: Recipe,
  finished: number,
  run: string | undefined,
): StageRange {
  const numStages = recipe.stages.length;
  const asked = stages === undefined ? undefined : parseStageRange(stages, numStages);
  return stagesToRun(asked, finished, numStages, run);
}

/** Steps after the checkpoint have no weights any more: the run takes them again. */
function forgetWhatIsLost(
  { store }: RunDirectory,
  checkpoint: Checkpoint | undefined,
  overrides: readonly string[],
): void {
  const step = checkpoint?.state.progress.step ?? 0;
  const lost = store.discardAfter(step);
  const changes = overrides.length > 0 ? `, with ${overrides.join(", ")}` : "";
  const dropped = lost > 0 ? `, ${lost} later steps dropped` : "";
  const text = `goes on after step ${step}${dropped}${changes}`;
  store.writeEvent({ kind: "run_resume", step, text, data: { overrides, lost } });
}

/** What observers are told first. */
export function describeRun({ recipe, range, directory, session }: OpenedRun): RunStart {
  const { prompts_per_step: prompts, samples_per_prompt: samples } = recipe.rollout;
  const stages = recipe.stages.slice(range.first, range.last + 1);
  const names = stages.map((_, index) => stageName(range.first + index));
  return {
    runName: directory.name,
    runPath: directory.path,
    recipeName: recipe.name,
    policyText: policyText(recipe, session),
    deviceText: deviceText(session),
    seed: recipe.seed,
    stages: stages.map(({ shots, steps }, index) => ({ name: names[index]!, shots, steps })),
    evalShots: recipe.eval.shots,
    facts: [
      `${prompts} prompts x ${samples} samples = ${prompts * samples} rollouts a step`,
      `${session.world.train.length} training questions, ` +
        `${Math.min(recipe.eval.limit, session.world.validation.length)} held-out ones`,
      ...session.world.notes,
      memoryFact(session),
    ],
    past: directory.store.past(),
  };
}

function policyText({ policy: { model, dtype } }: Recipe, { policy }: Session): string {
  const parameters = policy
    .tensors()
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return `${model}, ${(parameters / 1e6).toFixed(2)} M parameters, ${dtype}`;
}

function deviceText({ device }: Session): string {
  const { kind, threads } = device.describe();
  return kind === "cpu" ? `cpu, ${threads} threads` : `${kind} ${device.index}`;
}
