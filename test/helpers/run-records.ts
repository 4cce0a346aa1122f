// Records of a run for tests: a step's metrics, an evaluation, and samples whose numbers follow
// from a seed.

import type { Evaluation, StepMetrics } from "../../src/run/metrics.ts";
import { Role } from "../../src/types.ts";
import type { Rollout, Sample, ToolCall, Turn } from "../../src/types.ts";

const native = {
  devices: 1,
  policies: 1,
  caches: 1,
  trainers: 1,
  cpuBytes: 5e7,
  cpuPeakBytes: 9e7,
  deviceBytes: 0,
  devicePeakBytes: 0,
};
const phase = { tokens: 1000, seconds: 0.5, tokensPerSecond: 2000 };

export function stepMetrics(step: number, changes: Partial<StepMetrics> = {}): StepMetrics {
  return {
    step,
    stage: "stage1",
    stageStep: step,
    shots: 3,
    reward: 0.5,
    rewardStd: 0.4,
    components: { em: 0.4, format: 0.9 },
    em: 0.4,
    validFormat: 0.8,
    toolCalls: 1.2,
    callsByTool: { search: 1.2 },
    toolFailures: 0,
    tools: [],
    numRollouts: 128,
    numGroups: 16,
    zeroVarianceGroups: 3,
    finishReasons: { answer: 120, eos: 8 },
    finishTurns: [10, 90, 28],
    promptTokens: { mean: 291, max: 300 },
    responseTokens: { mean: 70, max: 112 },
    policyTokens: { mean: 50, max: 80 },
    entropy: 0.4,
    loss: 0.01,
    kl: 0,
    clipShare: 0.02,
    gradNorm: 0.7,
    learningRate: 1e-3,
    updates: 1,
    logprobDifference: { mean: 1e-6, max: 5e-6 },
    prefill: phase,
    decode: phase,
    update: phase,
    decodeOccupancy: 99.5,
    trieRatio: 3.1,
    seconds: 1.5,
    memory: { plannedBytes: 9.2e7, usedBytes: 9e7, numBatches: 1 },
    native,
    ...changes,
  };
}

export function evaluation(
  stage: string,
  shots: number,
  em: number,
  changes: Partial<Evaluation> = {},
): Evaluation {
  const figures = {
    numSamples: 200,
    emByHops: { "1": em, "2": em / 2 },
    validFormat: 0.9,
    toolCalls: 1.3,
    callsByTool: { search: 1.3 },
    seconds: 2,
  };
  return { stage, step: 0, shots, em, ...figures, ...changes };
}

export interface SampleShape {
  readonly promptTokens?: number;
  /** A turn's one call, or its several. */
  readonly calls?: readonly (ToolCall | readonly ToolCall[])[];
}

/**
 * A rollout with one turn a call and a last turn that answers; each turn samples 5 tokens, each
 * observation has 3.
 */
export function sample(groupId: string, index: number, shape: SampleShape = {}): Sample {
  const { promptTokens = 7, calls = [] } = shape;
  const turns = turnsOf(promptTokens, calls);
  const numTokens = turns.at(-1)!.observationEnd;
  const roles_L = new Uint8Array(numTokens).fill(Role.observation, promptTokens);
  for (const turn of turns) roles_L.fill(Role.policy, turn.policyStart, turn.policyEnd);
  const onPolicy = (value: (i: number) => number, otherwise: number) => (_: unknown, i: number) =>
    roles_L[i] === Role.policy ? value(i) : otherwise;
  const rollout: Rollout = {
    groupId,
    sample: index,
    task: {
      id: `task-${groupId}`,
      question: "Who keeps it?",
      golds: ["Ivo", "Ivo Ran"],
      meta: { hops: 2, split: "train" },
    },
    tokens_L: Int32Array.from({ length: numTokens }, (_, i) =>
      i < promptTokens ? i : i * 31 + index,
    ),
    roles_L,
    samplerLogprobs_L: Float32Array.from(
      { length: numTokens },
      onPolicy((i) => -i / 7 - index, 0),
    ),
    samplerEntropies_L: Float32Array.from(
      { length: numTokens },
      onPolicy((i) => i / 9, 0),
    ),
    policyVersions_L: Int32Array.from(
      { length: numTokens },
      onPolicy(() => 4, -1),
    ),
    promptTokens,
    turns,
    finish: "answer",
    responseText: `<think> é ${index} </think>`,
    policyText: `<think> é ${index} </think>`,
  };
  return {
    rollout,
    reward: { total: 0.8 + index / 100, components: { em: 1, format: index / 20 } },
  };
}

function turnsOf(promptTokens: number, calls: NonNullable<SampleShape["calls"]>): Turn[] {
  const starts = calls.map((each, i) => ({
    toolCalls: [each].flat(),
    policyStart: promptTokens + i * 8,
  }));
  const last = promptTokens + calls.length * 8;
  return [
    ...starts.map(({ toolCalls, policyStart: p }) => ({
      policyStart: p,
      policyEnd: p + 5,
      observationEnd: p + 8,
      toolCalls,
    })),
    { policyStart: last, policyEnd: last + 5, observationEnd: last + 5, toolCalls: [] },
  ];
}

export const goodCall: ToolCall = {
  tool: "search",
  input: "keeper of Ran",
  result: { ok: true, text: "Ivo keeps Ran." },
  latencyMs: 1.25,
  attempts: 1,
};
export const lateCall: ToolCall = {
  tool: "search",
  input: "x",
  result: { ok: false, reason: "timeout", text: "no result", detail: "1000 ms passed" },
  latencyMs: 1000,
  attempts: 2,
};
