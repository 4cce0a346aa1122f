// Figures of a set of scored rollouts: rewards, formats, tool calls, lengths. Pure; the same for a
// step and an evaluation.

import type { MeanMax } from "../run/metrics.ts";
import { Role, type Rollout, type Sample, type ToolCall } from "../types.ts";

/** Means over rollouts unless the name says otherwise. */
export interface RolloutFigures {
  readonly reward: number;
  readonly rewardStd: number;
  readonly components: Readonly<Record<string, number>>;
  readonly em: number;
  readonly validFormat: number;
  readonly toolCalls: number;
  readonly callsByTool: Readonly<Record<string, number>>; // by the name that was called
  readonly toolFailures: number; // a count
  readonly finishReasons: Readonly<Record<string, number>>; // counts
  readonly finishTurns: readonly number[]; // entry i: rollouts that ended in turn i + 1
  readonly promptTokens: MeanMax;
  readonly responseTokens: MeanMax;
  readonly policyTokens: MeanMax;
  readonly entropy: number; // of the sampler, over policy tokens
}

export function rolloutFigures(samples: readonly Sample[]): RolloutFigures {
  const rollouts = samples.map(({ rollout }) => rollout);
  const rewards = samples.map(({ reward }) => reward.total);
  const components = meanComponents(samples);
  const calls = rollouts.map(({ turns }) => turns.flatMap(({ toolCalls }) => toolCalls));
  const policyTokens = rollouts.map((rollout) => countPolicyTokens(rollout));
  const reward = mean(rewards);
  return {
    reward,
    rewardStd: Math.sqrt(mean(rewards.map((value) => (value - reward) ** 2))),
    components,
    em: components.em ?? 0,
    validFormat: components.valid_format ?? 0,
    toolCalls: mean(calls.map((each) => each.length)),
    callsByTool: callsByTool(calls),
    toolFailures: calls.flat().filter(({ result }) => !result.ok).length,
    finishReasons: Object.fromEntries(countBy(rollouts, ({ finish }) => finish)),
    finishTurns: turnHistogram(rollouts),
    promptTokens: meanMax(rollouts.map((rollout) => rollout.promptTokens)),
    responseTokens: meanMax(rollouts.map((each) => each.tokens_L.length - each.promptTokens)),
    policyTokens: meanMax(policyTokens),
    entropy: ratio(sum(rollouts.map(sumEntropies)), sum(policyTokens)),
  };
}

/**
 * Share of samples that are right, by the number of hops of their task; empty where tasks do not
 * say it.
 */
export function emByHops(samples: readonly Sample[]): Record<string, number> {
  const hops = ({ rollout }: Sample): string => String(rollout.task.meta.hops ?? "");
  const kinds = [...new Set(samples.map(hops))].filter((kind) => kind !== "").toSorted();
  return Object.fromEntries(
    kinds.map((kind) => {
      const own = samples.filter((sample) => hops(sample) === kind);
      return [kind, mean(own.map(({ reward }) => reward.components.em ?? 0))];
    }),
  );
}

export function countPolicyTokens({ roles_L }: Pick<Rollout, "roles_L">): number {
  let count = 0;
  for (const role of roles_L) if (role === Role.policy) count++;
  return count;
}

export function meanMax(values: readonly number[]): MeanMax {
  return { mean: mean(values), max: values.reduce((most, value) => Math.max(most, value), 0) };
}

export function mean(values: readonly number[]): number {
  return ratio(sum(values), values.length);
}

/** 0 where there is nothing to divide by. */
export function ratio(value: number, by: number): number {
  return by === 0 ? 0 : value / by;
}

function meanComponents(samples: readonly Sample[]): Record<string, number> {
  const names = [...new Set(samples.flatMap(({ reward }) => Object.keys(reward.components)))];
  return Object.fromEntries(
    names.map((name) => [name, mean(samples.map(({ reward }) => reward.components[name] ?? 0))]),
  );
}

function callsByTool(calls: readonly (readonly ToolCall[])[]): Record<string, number> {
  const names = new Set(calls.flat().map(({ tool }) => tool));
  const made = (name: string): number => calls.flat().filter(({ tool }) => tool === name).length;
  return Object.fromEntries([...names].map((name) => [name, ratio(made(name), calls.length)]));
}

function turnHistogram(rollouts: readonly Rollout[]): number[] {
  const counts = countBy(rollouts, ({ turns }) => turns.length);
  const most = Math.max(0, ...counts.keys());
  return Array.from({ length: most }, (_, index) => counts.get(index + 1) ?? 0);
}

function countBy<K>(rollouts: readonly Rollout[], key: (rollout: Rollout) => K): Map<K, number> {
  const counts = new Map<K, number>();
  for (const rollout of rollouts) counts.set(key(rollout), (counts.get(key(rollout)) ?? 0) + 1);
  return counts;
}

function sumEntropies({ roles_L, samplerEntropies_L }: Rollout): number {
  let total = 0;
  for (let at = 0; at < roles_L.length; at++) {
    if (roles_L[at] === Role.policy) total += samplerEntropies_L[at]!;
  }
  return total;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
