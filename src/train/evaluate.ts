// How good a policy is at a number of shots: one sample for each question, always the same
// questions and the same noise, so that two policies differ by their weights only. It changes
// nothing of the policy.

import type { Evaluation } from "../run/metrics.ts";
import type { PromptTemplate } from "../rollout/template.ts";
import type { Sample, Task } from "../types.ts";
import { emByHops, rolloutFigures } from "./rollout-figures.ts";
import { sampleGroups, type Sampler } from "./sampling.ts";
import type { Session } from "./session.ts";

/** Training never samples under this seed. */
export const HELD_OUT_SEED = 0x5eed_e7a1;

export interface EvaluationRequest {
  readonly stage: string; // "base" or the stage that has just ended
  readonly step: number;
  readonly shots: number;
  readonly tasks: readonly Task[];
  readonly template: PromptTemplate;
}

export interface EvaluationResult {
  readonly evaluation: Evaluation;
  readonly samples: readonly Sample[]; // in the order of the tasks
}

export async function evaluate(
  sampler: Sampler,
  { stage, step, shots, tasks, template }: EvaluationRequest,
): Promise<EvaluationResult> {
  const start = performance.now();
  const label = `eval/${stage}/${shots}`;
  const request = { tasks, template, samplesPerTask: 1, label, firstStream: 0 };
  const { groups } = await sampleGroups(sampler, request);
  const samples = groups.flatMap((group) => group.samples);
  const { em, validFormat, toolCalls, callsByTool } = rolloutFigures(samples);
  const seconds = (performance.now() - start) / 1000;
  const calls = { toolCalls, callsByTool };
  const figures = { em, emByHops: emByHops(samples), validFormat, ...calls, seconds };
  return { evaluation: { stage, step, shots, numSamples: samples.length, ...figures }, samples };
}

export interface HeldOutRequest {
  readonly stage: string;
  readonly step: number;
  readonly shots: number;
  /** Questions; absent: as many as the recipe says. */
  readonly limit?: number | undefined;
}

/** The first held-out questions, at the recipe's temperature. */
export function evaluateHeldOut(
  session: Session,
  { stage, step, shots, limit }: HeldOutRequest,
): Promise<EvaluationResult> {
  const { eval: settings } = session.recipe;
  const tasks = session.world.validation.slice(0, limit ?? settings.limit);
  const sampler = session.sampler(settings.temperature, HELD_OUT_SEED);
  return evaluate(sampler, { stage, step, shots, tasks, template: session.shotsTemplate(shots) });
}
