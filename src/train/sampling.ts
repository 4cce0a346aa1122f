// Scored groups for a list of tasks: prompts, rollouts, rewards. The one way in which training and
// evaluation sample. Each rollout is scored when it ends, while others still go on.

import { textOfRollout } from "../reward/rollout-text.ts";
import type { Scorer } from "../reward/scorer.ts";
import { rolloutGroups, type RolloutGroup, type RolloutMetrics } from "../rollout/batch.ts";
import type { RolloutEngine } from "../rollout/engine.ts";
import type { RolloutSettings } from "../rollout/rollout.ts";
import type { Prompter } from "../rollout/template.ts";
import type { Group, Reward, Rollout, Task } from "../types.ts";

export interface SamplingRequest {
  readonly tasks: readonly Task[];
  readonly template: Prompter;
  readonly samplesPerTask: number;
  /** Group ids are `<label>/<index>/<task id>`, so they are unique where labels are. */
  readonly label: string;
  /** Names the noise of the first task; the others follow. Unique under one seed. */
  readonly firstStream: number;
}

export interface Sampler {
  readonly engine: RolloutEngine;
  readonly settings: RolloutSettings;
  readonly scorer: Pick<Scorer, "score">;
}

export interface SampledGroups {
  readonly groups: readonly Group[];
  readonly raw: readonly RolloutGroup[]; // with the engine's own account, for the contract check
  readonly metrics: RolloutMetrics;
}

/** Rejects with ScoringError where a rollout can't be scored, when all of them have ended. */
export async function sampleGroups(
  { engine, settings, scorer }: Sampler,
  { tasks, template, samplesPerTask, label, firstStream }: SamplingRequest,
): Promise<SampledGroups> {
  const requests = tasks.map((task, index) => ({
    id: `${label}/${index}/${task.id}`,
    stream: firstStream + index,
    task,
    prompt: template.render(task.question),
    numSamples: samplesPerTask,
  }));
  const rewards = new Map<Rollout, Promise<Reward>>();
  const score = (rollout: Rollout, prompt: string): void => {
    const reward = scorer.score(textOfRollout(rollout, prompt));
    reward.catch(() => undefined); // it is awaited below
    rewards.set(rollout, reward);
  };
  const { groups: raw, metrics } = await rolloutGroups(engine, requests, settings, score);
  return { groups: await Promise.all(raw.map((group) => scored(group, rewards))), raw, metrics };
}

async function scored(
  { id, task, records }: RolloutGroup,
  rewards: ReadonlyMap<Rollout, Promise<Reward>>,
): Promise<Group> {
  const samples = records.map(async ({ rollout }) => {
    return { rollout, reward: await rewards.get(rollout)! };
  });
  return { id, task, samples: await Promise.all(samples) };
}
