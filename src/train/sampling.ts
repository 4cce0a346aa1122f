// Scored groups for a list of tasks: prompts, rollouts, rewards. The one way in which training and
// evaluation sample.

import type { RewardProfile } from "../reward/profiles.ts";
import { scoreRollout } from "../reward/score.ts";
import { rolloutGroups, type RolloutGroup, type RolloutMetrics } from "../rollout/batch.ts";
import type { RolloutEngine } from "../rollout/engine.ts";
import type { RolloutSettings } from "../rollout/rollout.ts";
import type { Prompt, Prompter } from "../rollout/template.ts";
import type { Group, Sample, Task } from "../types.ts";

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
  readonly profile: RewardProfile;
}

export interface SampledGroups {
  readonly groups: readonly Group[];
  readonly raw: readonly RolloutGroup[]; // with the engine's own account, for the contract check
  readonly metrics: RolloutMetrics;
}

export async function sampleGroups(
  sampler: Sampler,
  { tasks, template, samplesPerTask, label, firstStream }: SamplingRequest,
): Promise<SampledGroups> {
  const requests = tasks.map((task, index) => ({
    id: `${label}/${index}/${task.id}`,
    stream: firstStream + index,
    task,
    prompt: template.render(task.question),
    numSamples: samplesPerTask,
  }));
  const { groups: raw, metrics } = await rolloutGroups(sampler.engine, requests, sampler.settings);
  const groups = raw.map((group, index) => scored(sampler, group, requests[index]!.prompt));
  return { groups, raw, metrics };
}

function scored({ profile, settings }: Sampler, group: RolloutGroup, prompt: Prompt): Group {
  const { id, task, records } = group;
  const samples = records.map(({ rollout }): Sample => {
    const { responseText: response, policyText } = rollout;
    const text = { prompt: prompt.text, response, policyText, golds: task.golds };
    return { rollout, reward: scoreRollout(profile, settings.tags, text) };
  });
  return { id, task, samples };
}
