// A checkpoint: a Hugging Face folder of the policy, with the optimizer's state and the run's
// beside it. Adapters are merged there, and lie in PEFT's format in a folder of their own: beside
// the merged weights, transformers would add them once more. Whole or absent: the run directory
// renames it into place. Not the rollouts and metrics: those are in run.sqlite.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dtype, Policy } from "../../ffi/policy.ts";
import type { Trainer, TrainerTensor } from "../../ffi/trainer.ts";
import { UserError } from "../config/errors.ts";
import { stageName } from "../curriculum/stages.ts";
import type { Progress } from "../curriculum/progress.ts";
import type { TaskOrderState } from "../curriculum/task-order.ts";
import { fileSource, type FolderSource } from "../model/byte-source.ts";
import { storedValues } from "../model/export.ts";
import { openFolder } from "../model/model-folder.ts";
import { writeAdapter } from "../model/peft.ts";
import { readHeader, readTensor } from "../model/safetensors.ts";
import { writeSafetensors, type TensorToWrite } from "../model/safetensors-write.ts";
import { saveFolder } from "../model/weights.ts";
import type { RunFolder } from "../run/directory.ts";

/** Everything of a run that is neither weights nor optimizer state. */
export interface RunState {
  readonly progress: Progress;
  readonly tasks: TaskOrderState;
  readonly optimizerSteps: number;
}

const STATE = "run-state.json";
const OPTIMIZER = "optimizer.safetensors";
/** PEFT's folder in a checkpoint. */
export const ADAPTER = "adapter";

/**
 * What the optimizer keeps of a tensor, in fp32 (which holds 8-bit moments exactly). Where the
 * policy does not hold the weights that are trained, or not in fp32, they are here too.
 */
function keptTensors({ policy, base, config }: Trainer): readonly TrainerTensor[] {
  const moments = ["first_moment", "second_moment"] as const;
  const isAll = policy.dtype === "f32" || config.masterWeights === false;
  return isAll && base === undefined ? moments : [...moments, "master"];
}

export interface CheckpointParts {
  readonly policy: Policy;
  readonly trainer: Trainer;
  readonly state: RunState;
  /** Where config and tokenizer are copied from. */
  readonly model: FolderSource;
  /** The model that adapters change, a folder or a name. */
  readonly base: string;
}

/** Fills an empty folder. */
export function writeCheckpoint(folder: string, parts: CheckpointParts): void {
  const { trainer, base } = parts;
  writePolicy(folder, parts);
  writeSafetensors(join(folder, OPTIMIZER), optimizerTensors(trainer));
  if (trainer.base === undefined) return;
  mkdirSync(join(folder, ADAPTER));
  writeAdapter(join(folder, ADAPTER), trainer, base);
}

/** A checkpoint to evaluate and to export; without the optimizer, training can't go on from it. */
export function writePolicy(
  folder: string,
  { policy, state, model }: Omit<CheckpointParts, "trainer" | "base">,
): void {
  saveFolder(policy, folder, { dtype: policy.dtype, copyFrom: model });
  writeFileSync(join(folder, STATE), `${JSON.stringify(state, null, 2)}\n`);
}

/** `stage2` where that stage has just ended, else `stage2-step7`. */
export function checkpointName({ stage, stageStep }: Progress): string {
  return stageStep === 0 ? stageName(stage - 1) : `${stageName(stage)}-step${stageStep}`;
}

export interface Checkpoint {
  readonly name: string;
  readonly path: string;
  readonly state: RunState;
}

/** The named one, else the one that has come furthest; undefined where the run has none. */
export function latestCheckpoint(run: RunFolder, name?: string): Checkpoint | undefined {
  const names = name === undefined ? run.checkpoints() : [name];
  const all = names.map((each) => {
    const path = run.checkpointPath(each);
    return { name: each, path, state: readState(path) };
  });
  return all.toSorted((a, b) => howFar(a) - howFar(b)).at(-1);
}

/** A stage's end counts as further than its last step. */
function howFar({ state }: Checkpoint): number {
  return state.progress.step + state.progress.stage / 1e3;
}

function readState(path: string): RunState {
  const file = join(path, STATE);
  try {
    return JSON.parse(readFileSync(file, "utf8")) as RunState;
  } catch (error) {
    const hint = `delete the folder to go on without it; ${(error as Error).message}`;
    throw new UserError("the checkpoint has no readable run state", { where: file, hint });
  }
}

/**
 * Throws UserError where the file lacks a tensor, or where adapters do not give the checkpoint's
 * weights: they are then on another base than the one they learned on.
 */
export function restoreOptimizer(trainer: Trainer, { path, state }: Checkpoint): void {
  using source = fileSource(join(path, OPTIMIZER));
  const entries = new Map(readHeader(source).tensors.map((entry) => [entry.name, entry]));
  for (const { name, shape } of trainer.tensors()) {
    for (const which of keptTensors(trainer)) {
      const entry = entries.get(`${which}.${name}`);
      if (entry === undefined || `${entry.shape}` !== `${shape}`) {
        const hint = "train.lora can change where fresh adapters begin only";
        const what = `no ${which} of ${name} [${shape.join(", ")}]`;
        throw new UserError(what, { where: source.name, ...(trainer.base && { hint }) });
      }
      trainer.writeTensor(which, name, new Float32Array(readTensor(source, entry).buffer));
    }
  }
  trainer.steps = state.optimizerSteps;
  if (trainer.base !== undefined) requireMerged(trainer.policy, path);
}

/** The last layer's weights: another machine may round them otherwise, another base is further. */
function requireMerged(policy: Policy, path: string): void {
  using folder = openFolder(path);
  const layer = `model.layers.${policy.config.layers - 1}.`;
  for (const { name } of policy.tensors().filter((each) => each.name.startsWith(layer))) {
    if (isNear(policy.read(name), storedValues(folder.tensors.get(name)!), policy.dtype)) continue;
    const what = `its adapters and their base do not give its own ${name}`;
    const hint = "the base is not the model that they learned on: was its folder replaced?";
    throw new UserError(what, { where: path, hint });
  }
}

/** Within a unit in the last place of the narrow dtypes, and a sum's rounding of the wide ones. */
function isNear(merged: Float32Array, saved: ArrayLike<number>, dtype: Dtype): boolean {
  const largest = merged.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const narrow = dtype === "bf16" || dtype === "f16";
  const bound = (value: number): number => (narrow ? Math.abs(value) / 128 : largest / 1e6);
  return merged.every((value, i) => Math.abs(value - saved[i]!) <= bound(value));
}

function optimizerTensors(trainer: Trainer): TensorToWrite[] {
  return trainer.tensors().flatMap(({ name, shape }) =>
    keptTensors(trainer).map((which) => ({
      name: `${which}.${name}`,
      dtype: "F32" as const,
      shape,
      bytes: () => new Uint8Array(trainer.readTensor(which, name).buffer),
    })),
  );
}
