// A checkpoint: a Hugging Face folder of the policy, with the optimizer's state and the run's
// beside it. Whole or absent: the run directory renames it into place. Not the rollouts and
// metrics: those are in run.sqlite.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Policy } from "../../ffi/policy.ts";
import type { Trainer, TrainerTensor } from "../../ffi/trainer.ts";
import { UserError } from "../config/errors.ts";
import { stageName } from "../curriculum/stages.ts";
import type { Progress } from "../curriculum/progress.ts";
import type { TaskOrderState } from "../curriculum/task-order.ts";
import { fileSource, type FolderSource } from "../model/byte-source.ts";
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

/**
 * What the optimizer keeps of a tensor. Where the policy is not in fp32, its fp32 weights are here
 * too.
 */
function keptTensors({ dtype }: Policy): readonly TrainerTensor[] {
  const moments = ["first_moment", "second_moment"] as const;
  return dtype === "f32" ? moments : [...moments, "master"];
}

export interface CheckpointParts {
  readonly policy: Policy;
  readonly trainer: Trainer;
  readonly state: RunState;
  /** Where config and tokenizer are copied from. */
  readonly model: FolderSource;
}

/** Fills an empty folder. */
export function writeCheckpoint(folder: string, parts: CheckpointParts): void {
  writePolicy(folder, parts);
  writeSafetensors(join(folder, OPTIMIZER), optimizerTensors(parts.policy, parts.trainer));
}

/** A checkpoint to evaluate and to export; without the optimizer, training can't go on from it. */
export function writePolicy(
  folder: string,
  { policy, state, model }: Omit<CheckpointParts, "trainer">,
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

export function restoreOptimizer(
  trainer: Trainer,
  policy: Policy,
  { path, state }: Checkpoint,
): void {
  using source = fileSource(join(path, OPTIMIZER));
  const entries = new Map(readHeader(source).tensors.map((entry) => [entry.name, entry]));
  for (const { name } of policy.tensors()) {
    for (const which of keptTensors(policy)) {
      const entry = entries.get(`${which}.${name}`);
      if (entry === undefined)
        throw new UserError(`no ${which} of ${name}`, { where: source.name });
      trainer.writeTensor(which, name, new Float32Array(readTensor(source, entry).buffer));
    }
  }
  trainer.steps = state.optimizerSteps;
}

function optimizerTensors(policy: Policy, trainer: Trainer): TensorToWrite[] {
  return policy.tensors().flatMap(({ name, shape }) =>
    keptTensors(policy).map((which) => ({
      name: `${which}.${name}`,
      dtype: "F32" as const,
      shape,
      bytes: () => new Uint8Array(trainer.readTensor(which, name).buffer),
    })),
  );
}
