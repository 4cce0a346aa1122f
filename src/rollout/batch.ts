// The rollouts of many groups, all in flight at once: each is its own async function, and the
// engine batches whatever samples. One that waits for a tool holds nobody up. Not here: choosing
// tasks, rewards.

import type { Rollout, Task } from "../types.ts";
import type { EngineCounters, RolloutEngine } from "./engine.ts";
import { countersBetween } from "./engine.ts";
import { observationWriter, rollOut, type RolloutRecord, type RolloutSettings } from "./rollout.ts";
import type { Prompt } from "./template.ts";

export interface GroupRequest {
  readonly id: string; // unique within a run
  readonly stream: number; // names the group's noise: unique under one seed
  readonly task: Task;
  readonly prompt: Prompt;
  readonly numSamples: number;
}

/** The samples of one prompt, in order of their number. */
export interface RolloutGroup {
  readonly id: string;
  readonly task: Task;
  readonly records: readonly RolloutRecord[];
}

export interface RolloutMetrics extends EngineCounters {
  readonly meanBatch: number; // sequences that a step sampled for
  readonly wallMs: number;
  readonly toolMs: number; // sum over calls, which overlap
  readonly numCalls: number;
}

export interface RolloutGroups {
  readonly groups: readonly RolloutGroup[];
  readonly metrics: RolloutMetrics;
}

/** Sees a rollout as it ends, with the text of its prompt. */
export type RolloutObserver = (rollout: Rollout, prompt: string) => void;

/**
 * Rolls out every sample of every request. An engine that fails fails all; by then every sequence
 * is closed.
 */
export async function rolloutGroups(
  engine: RolloutEngine,
  requests: readonly GroupRequest[],
  settings: RolloutSettings,
  onEnd: RolloutObserver = () => undefined,
): Promise<RolloutGroups> {
  const observations = observationWriter(settings);
  const before = engine.counters();
  const start = performance.now();
  const inFlight = requests.flatMap((request) =>
    samplesOf(request).map(async (sample) => {
      const asked = { ...request, groupId: request.id, sample };
      const record = await rollOut(engine, asked, settings, observations);
      onEnd(record.rollout, request.prompt.text);
      return record;
    }),
  );
  const records = settled(await Promise.allSettled(inFlight));
  const wallMs = performance.now() - start;
  const metrics = measure(countersBetween(before, engine.counters()), records, wallMs);
  return { groups: regroup(requests, records), metrics };
}

const samplesOf = ({ numSamples }: GroupRequest): number[] =>
  Array.from({ length: numSamples }, (_, i) => i);

function settled<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

function regroup(
  requests: readonly GroupRequest[],
  records: readonly RolloutRecord[],
): RolloutGroup[] {
  let next = 0;
  return requests.map(({ id, task, numSamples }) => {
    next += numSamples;
    return { id, task, records: records.slice(next - numSamples, next) };
  });
}

function measure(
  counters: EngineCounters,
  records: readonly RolloutRecord[],
  wallMs: number,
): RolloutMetrics {
  const calls = records.flatMap(({ rollout }) =>
    rollout.turns.flatMap(({ toolCalls }) => toolCalls),
  );
  const toolMs = calls.reduce((sum, { latencyMs }) => sum + latencyMs, 0);
  const meanBatch = counters.steps === 0 ? 0 : counters.decodeTokens / counters.steps;
  return { ...counters, meanBatch, wallMs, toolMs, numCalls: calls.length };
}
