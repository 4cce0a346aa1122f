// How far a run has come through its stages, as data, and what comes next. A stage ends when its
// steps are taken and the gate of the stage after it is open; while that is closed the stage goes
// on, up to the gate's bound. Pure: the loop trains and measures as it is told. A stage is entered
// only through an open gate, also when a later command runs it.

import { UserError } from "../config/errors.ts";
import type { GateRecipe, StageRecipe } from "../config/recipe.ts";
import { stageName } from "./stages.ts";

export interface Progress {
  readonly step: number; // taken in the whole run
  readonly stage: number; // index of the stage that is running or next
  readonly stageStep: number; // taken in this stage
  readonly look?: GateLook; // the last look at the next stage's gate, in this stage
  readonly closed?: GateLook; // the look with which the stage before was given up
}
/** One measurement for a gate. */
export interface GateLook {
  readonly stageStep: number;
  readonly zeroShotEm: number;
}

export const start: Progress = { step: 0, stage: 0, stageStep: 0 };

/** What the loop has to do. `given_up`: the stage is over, and the next one can't be entered. */
export type Next =
  | { readonly kind: "step" }
  | { readonly kind: "look"; readonly gate: GateRecipe }
  | { readonly kind: "end"; readonly outcome: "open" | "given_up" };

export function nextInStage(progress: Progress, stages: readonly StageRecipe[]): Next {
  const { steps } = stages[progress.stage]!;
  const gate = stages[progress.stage + 1]?.gate;
  const extra = progress.stageStep - steps;
  if (extra < 0) return { kind: "step" };
  if (gate === undefined) return { kind: "end", outcome: "open" };
  if (isLookDue(progress, gate, extra)) return { kind: "look", gate };
  if (isOpen(gate, progress.look)) return { kind: "end", outcome: "open" };
  return extra < gate.max_extra_steps ? { kind: "step" } : { kind: "end", outcome: "given_up" };
}

export function afterStep(progress: Progress): Progress {
  return { ...progress, step: progress.step + 1, stageStep: progress.stageStep + 1 };
}

export function afterLook(progress: Progress, zeroShotEm: number): Progress {
  return { ...progress, look: { stageStep: progress.stageStep, zeroShotEm } };
}

export function afterStage(
  { step, stage, look }: Progress,
  outcome: "open" | "given_up",
): Progress {
  const next = { step, stage: stage + 1, stageStep: 0 };
  return outcome === "given_up" && look !== undefined ? { ...next, closed: look } : next;
}

/** Throws UserError when the gate of the stage that comes next stayed closed. */
export function requireOpenGate(
  { stage, stageStep, closed }: Progress,
  stages: readonly StageRecipe[],
): void {
  const gate = stages[stage]?.gate;
  if (gate === undefined || stageStep > 0 || closed === undefined || isOpen(gate, closed)) return;
  const em = closed.zeroShotEm.toFixed(3);
  const before = `after ${closed.stageStep} steps of ${stageName(stage - 1)}`;
  const what = `${stageName(stage)} is not entered: EM without demonstrations is ${em} ${before}`;
  const hint =
    `its gate wants ${gate.zero_shot_em}: below it a stage tends to find only the format reward; ` +
    `give ${stageName(stage - 1)} more steps or a higher learning rate, or enter anyway ` +
    `with --set stages.${stage}.gate.zero_shot_em=0`;
  throw new UserError(what, { hint });
}

function isOpen(gate: GateRecipe, look: GateLook | undefined): boolean {
  return look !== undefined && look.zeroShotEm >= gate.zero_shot_em;
}

/** Once when the stage's own steps are taken, then every `every` extra steps and at the bound. */
function isLookDue({ look, stageStep }: Progress, gate: GateRecipe, extra: number): boolean {
  if (look !== undefined && look.stageStep === stageStep) return false;
  return extra % gate.every === 0 || extra === gate.max_extra_steps;
}
