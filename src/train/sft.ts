// Supervised fine-tuning on a run's successful rollouts: the baseline that RL is compared with. It
// starts from the run's first policy, or from one of its checkpoints, and leaves a run directory of
// its own: evaluations before and after, the loss of each step as events, and the policy as a model
// folder. It can't be gone on with; a run of RL can start from its checkpoint as `policy.model`.
// The learning rate warms up over a tenth of the steps and then falls linearly to a tenth.

import { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import type { Recipe } from "../config/recipe.ts";
import { Random } from "../data/random.ts";
import type { FolderSource } from "../model/byte-source.ts";
import type { RunDirectory } from "../run/directory.ts";
import type { Evaluation } from "../run/metrics.ts";
import { writePolicy } from "./checkpoint.ts";
import { evaluateHeldOut } from "./evaluate.ts";
import { trainerConfig } from "./objective-options.ts";
import { updateBudget } from "./plan/budget.ts";
import { scheduleFactor } from "./schedule.ts";
import type { Session } from "./session.ts";
import type { Selection, SelectionCounts, SftExample } from "./sft-examples.ts";
import { sftUpdate, shuffledBatches, type SftUpdate } from "./sft-update.ts";

export interface SftOptions {
  readonly epochs: number;
  readonly batchSize: number; // examples of an optimizer step
  readonly learningRate: number; // its peak
}

export interface SftStart {
  readonly run: string; // the folder written
  readonly from: string; // "base", or the checkpoint that it starts from
  readonly counts: SelectionCounts;
  readonly examples: number;
  readonly options: SftOptions;
  readonly numSteps: number;
}
export interface SftStep extends SftUpdate {
  readonly step: number; // from 1
  readonly epoch: number; // from 1
  readonly learningRate: number;
}
export interface SftEnd {
  readonly outcome: "finished" | "interrupted";
  readonly checkpoint: string; // a folder
  readonly steps: number;
  readonly epochLosses: readonly number[]; // nats a token, of whole epochs and the last one
  readonly evaluations: readonly Evaluation[];
  readonly seconds: number;
}
export interface SftObserver {
  onStart(start: SftStart): void;
  onStep(step: SftStep): void;
  onEval(evaluation: Evaluation): void;
}

export interface SftParts {
  readonly recipe: Recipe;
  readonly session: Session;
  readonly directory: RunDirectory;
  /** Where config and tokenizer of the checkpoint come from. */
  readonly model: FolderSource;
  readonly from: string;
  readonly selection: Selection;
  readonly options: SftOptions;
  readonly observer: SftObserver;
  /** Asked between steps. */
  readonly shouldStop: () => boolean;
}

/** The stage of what it leaves, in evaluations and as the name of the checkpoint. */
export const SFT_STAGE = "sft";
const WARMUP_SHARE = 0.1;
const DECAY_TO = 0.1;

export async function fineTune(parts: SftParts): Promise<SftEnd> {
  const start = performance.now();
  const numSteps = stepsOf(parts);
  tellStart(parts, numSteps);
  const before = await evaluateAll(parts, parts.from, 0);
  const losses = await trainEpochs(parts, numSteps);
  const steps = losses.reduce((sum, epoch) => sum + epoch.length, 0);
  const finished = steps === numSteps;
  const checkpoint = writeResult(parts, finished ? SFT_STAGE : `${SFT_STAGE}-step${steps}`, steps);
  const after = finished ? await evaluateAll(parts, SFT_STAGE, steps) : [];
  return {
    outcome: finished ? "finished" : "interrupted",
    checkpoint,
    steps,
    epochLosses: losses.filter(({ length }) => length > 0).map(meanLoss),
    evaluations: [...before, ...after],
    seconds: (performance.now() - start) / 1000,
  };
}

const stepsOf = ({ options, selection }: SftParts): number =>
  options.epochs * Math.ceil(selection.examples.length / options.batchSize);

function tellStart({ directory, from, selection, options, observer }: SftParts, numSteps: number) {
  const { counts, examples } = selection;
  const facts = { from, counts, examples: examples.length, options, numSteps };
  const text = `fine-tuning from ${from} on ${examples.length} rollouts`;
  directory.store.writeEvent({ kind: "run_start", step: 0, text, data: facts });
  observer.onStart({ run: directory.path, ...facts });
}

async function evaluateAll(
  { recipe, session, directory, observer }: SftParts,
  stage: string,
  step: number,
): Promise<Evaluation[]> {
  const evaluations: Evaluation[] = [];
  for (const shots of recipe.eval.shots) {
    const { evaluation, samples } = await evaluateHeldOut(session, { stage, step, shots });
    directory.store.writeEvaluation(evaluation, samples);
    observer.onEval(evaluation);
    evaluations.push(evaluation);
  }
  return evaluations;
}

/** The updates of each epoch; fewer where it was asked to stop. */
async function trainEpochs(parts: SftParts, numSteps: number): Promise<SftUpdate[][]> {
  const { recipe, session, selection, options } = parts;
  using base = adaptersBase(recipe, session);
  using trainer = Trainer.open(session.policy, trainerConfig(recipe), base);
  const epochs: SftUpdate[][] = [];
  let step = 0;
  for (let epoch = 1; epoch <= options.epochs; epoch++) {
    const random = new Random(recipe.seed, `sft, epoch ${epoch}`);
    const updates: SftUpdate[] = [];
    epochs.push(updates);
    for (const batch of shuffledBatches(selection.examples, options.batchSize, random)) {
      await Bun.sleep(0); // lets a signal in
      if (parts.shouldStop()) return epochs;
      updates.push(takeStep(parts, trainer, batch, { epoch, step: ++step, numSteps }));
    }
  }
  return epochs;
}

/** Of adapters; what is left of them is the merged policy. */
function adaptersBase({ train }: Recipe, { device, policy }: Session): Policy | undefined {
  if (train.lora === undefined) return undefined;
  const base = Policy.open(device, policy.config, policy.dtype);
  base.copyFrom(policy);
  return base;
}

function takeStep(
  { recipe, session, options, directory, observer }: SftParts,
  trainer: Trainer,
  batch: readonly SftExample[],
  { epoch, step, numSteps }: { epoch: number; step: number; numSteps: number },
): SftUpdate {
  const learningRate = options.learningRate * factorAt(step, numSteps);
  const budget = updateBudget(recipe, session.device);
  const maxGradNorm = recipe.train.max_grad_norm;
  const update = sftUpdate(trainer, batch, { learningRate, maxGradNorm, budget });
  const told = { step, epoch, learningRate, ...update };
  const text = `loss ${update.loss.toFixed(4)}`;
  directory.store.writeEvent({ kind: "sft_step", step, text, data: told });
  observer.onStep(told);
  return update;
}

function factorAt(step: number, totalSteps: number): number {
  const warmupSteps = Math.round(WARMUP_SHARE * totalSteps);
  return scheduleFactor({ decay: "linear", decayTo: DECAY_TO, warmupSteps, totalSteps }, step - 1);
}

/** The path of the checkpoint. */
function writeResult({ directory, session, model }: SftParts, name: string, step: number): string {
  const progress = { step, stage: 0, stageStep: 0 };
  const state = { progress, tasks: { drawn: 0, sizes: [], keys: [] }, optimizerSteps: step };
  const { policy } = session;
  const path = directory.writeCheckpoint(name, (folder) =>
    writePolicy(folder, { policy, state, model }),
  );
  directory.store.writeEvent({ kind: "checkpoint", step, text: `checkpoint ${name}` });
  return path;
}

/** Over the tokens of an epoch. */
function meanLoss(updates: readonly SftUpdate[]): number {
  const tokens = updates.reduce((sum, { numTokens }) => sum + numTokens, 0);
  return updates.reduce((sum, { loss, numTokens }) => sum + loss * numTokens, 0) / tokens;
}
