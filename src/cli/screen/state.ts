// What a screen knows of a run: the events so far, folded into one value. Pure; renderers draw from
// it.

import type { Evaluation, StepMetrics } from "../../run/metrics.ts";
import type { EvalPlan, RunStart, StagePlan } from "../../run/observer.ts";
import type { Sample } from "../../types.ts";

export interface ScreenState {
  readonly start: RunStart;
  readonly stage: StagePlan | undefined;
  readonly steps: readonly StepMetrics[]; // of the whole run
  readonly evaluations: readonly Evaluation[]; // of the whole run
  readonly evaluating: EvalPlan | undefined;
  readonly shown: ShownSamples;
}

/**
 * Samples at the fewest shots, of the first and of the last such evaluation: what is shown side by
 * side at the end.
 */
export interface ShownSamples {
  readonly before: EvaluatedSamples | undefined;
  readonly after: EvaluatedSamples | undefined;
}
export interface EvaluatedSamples {
  readonly evaluation: Evaluation;
  readonly samples: readonly Sample[];
}

export function startState(start: RunStart): ScreenState {
  const none: ScreenState = {
    start,
    stage: undefined,
    steps: start.past.steps,
    evaluations: [],
    evaluating: undefined,
    shown: { before: undefined, after: undefined },
  };
  return start.past.evaluations.reduce(
    (state, each) => withEvaluation(state, each.evaluation, each.samples),
    none,
  );
}

export const withStage = (state: ScreenState, stage: StagePlan): ScreenState => ({
  ...state,
  stage,
});

export const withEvalPlan = (state: ScreenState, plan: EvalPlan): ScreenState => ({
  ...state,
  evaluating: plan,
});

export const withStep = (state: ScreenState, step: StepMetrics): ScreenState => ({
  ...state,
  steps: [...state.steps, step],
});

export function withEvaluation(
  state: ScreenState,
  evaluation: Evaluation,
  samples: readonly Sample[],
): ScreenState {
  const fewest = Math.min(...state.start.evalShots, evaluation.shots);
  const shown =
    evaluation.shots === fewest ? withShown(state.shown, { evaluation, samples }) : state.shown;
  return {
    ...state,
    evaluations: [...state.evaluations, evaluation],
    evaluating: undefined,
    shown,
  };
}

function withShown(shown: ShownSamples, samples: EvaluatedSamples): ShownSamples {
  return shown.before === undefined
    ? { before: samples, after: undefined }
    : { ...shown, after: samples };
}

/** The last evaluation at the fewest shots, which the whole run is about. */
export function lastFewestShots(state: ScreenState): Evaluation | undefined {
  const fewest = Math.min(...state.evaluations.map(({ shots }) => shots));
  return state.evaluations.findLast(({ shots }) => shots === fewest);
}

/**
 * Steps of this call: done, and planned in all. A stage that its gate lengthened counts what it
 * really took.
 */
export function stepsOfCall(state: ScreenState): {
  readonly done: number;
  readonly planned: number;
} {
  const done = state.steps.length - state.start.past.steps.length;
  const reached = state.start.stages.findIndex(({ name }) => name === state.stage?.name);
  const inStage = state.steps.filter(({ stage }) => stage === state.stage?.name).length;
  const later = state.start.stages.slice(reached + 1).reduce((sum, { steps }) => sum + steps, 0);
  const left = state.stage === undefined ? 0 : Math.max(0, state.stage.steps - inStage);
  return { done, planned: done + left + later };
}

/**
 * Seconds until the end, from the pace of the last steps and the mean evaluation so far; undefined
 * before any pace.
 */
export function secondsLeft(state: ScreenState): number | undefined {
  const newSteps = state.steps.slice(state.start.past.steps.length);
  const newEvaluations = state.evaluations.slice(state.start.past.evaluations.length);
  if (newSteps.length === 0) return undefined;
  const { done, planned } = stepsOfCall(state);
  const stagesPlanned =
    state.start.stages.length + (state.start.past.evaluations.length === 0 ? 1 : 0);
  const evaluationsLeft = Math.max(
    0,
    stagesPlanned * state.start.evalShots.length - newEvaluations.length,
  );
  const stepPace = mean(newSteps.slice(-8).map(({ seconds }) => seconds));
  const evalPace =
    newEvaluations.length === 0 ? 0 : mean(newEvaluations.map(({ seconds }) => seconds));
  return (planned - done) * stepPace + evaluationsLeft * evalPace;
}

const mean = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / values.length;
