// The seam between the training loop and everything that watches it: screens, `--json` lines, the
// event log. The loop calls these and never prints; observers never change what the loop does. A
// call returns before the loop goes on.

import type { Sample } from "../types.ts";
import type { Evaluation, StepMetrics, ToolFigures } from "./metrics.ts";

/** A stage as planned; a gate may lengthen it. */
export interface StagePlan {
  readonly name: string;
  readonly shots: number;
  readonly steps: number;
}
export interface RunStart {
  readonly runName: string;
  readonly runPath: string;
  readonly recipeName: string;
  readonly policyText: string; // "nano, 0.92 M parameters, f32"
  readonly deviceText: string; // "cpu, 2 threads"
  readonly seed: number;
  readonly stages: readonly StagePlan[]; // those that this call will run
  readonly evalShots: readonly number[];
  readonly facts: readonly string[]; // derived numbers: "16 prompts x 8 samples = 128 rollouts"
  readonly past: RunPast;
}
/**
 * What a run that is continued already has; empty lists for a new run. `RunStore.past()` reads it.
 */
export interface RunPast {
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly PastEvaluation[];
}
export interface PastEvaluation {
  readonly evaluation: Evaluation;
  readonly samples: readonly Sample[]; // may be empty where the shots are not the fewest
}
export interface EvalPlan {
  readonly stage: string;
  readonly shots: number;
  readonly numSamples: number;
}
export type MessageLevel = "info" | "warning";
export interface RunMessage {
  readonly level: MessageLevel;
  readonly text: string; // may hold several lines
}
export interface RunEnd {
  readonly outcome: "finished" | "interrupted" | "failed";
  readonly steps: number; // run by this call
  readonly wallSeconds: number;
  readonly reason?: string; // why it ended early
  readonly tools?: readonly ToolFigures[]; // of this call of the program, evaluations included
}

export interface RunObserver {
  onStart?(start: RunStart): void;
  onStageStart?(stage: StagePlan): void;
  onStep?(metrics: StepMetrics): void;
  /** An evaluation begins: what it will be, before any figure is known. */
  onEvalStart?(plan: EvalPlan): void;
  /** `samples` in the order of the tasks, which is the same for every evaluation of a run. */
  onEval?(evaluation: Evaluation, samples: readonly Sample[]): void;
  /** A rollout that a person should see, such as the one the contract check looked at. */
  onSample?(title: string, sample: Sample): void;
  onMessage?(message: RunMessage): void;
  onEnd?(end: RunEnd): void;
}

/** Calls each observer in turn. */
export function observeAll(observers: readonly RunObserver[]): Required<RunObserver> {
  return {
    onStart: (start) => observers.forEach((observer) => observer.onStart?.(start)),
    onStageStart: (stage) => observers.forEach((observer) => observer.onStageStart?.(stage)),
    onStep: (metrics) => observers.forEach((observer) => observer.onStep?.(metrics)),
    onEvalStart: (plan) => observers.forEach((observer) => observer.onEvalStart?.(plan)),
    onEval: (evaluation, samples) =>
      observers.forEach((observer) => observer.onEval?.(evaluation, samples)),
    onSample: (title, sample) =>
      observers.forEach((observer) => observer.onSample?.(title, sample)),
    onMessage: (message) => observers.forEach((observer) => observer.onMessage?.(message)),
    onEnd: (end) => observers.forEach((observer) => observer.onEnd?.(end)),
  };
}
