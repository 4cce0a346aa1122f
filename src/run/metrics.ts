// What one step, one evaluation and one whole run measured. Types only: the loop computes them, the
// store keeps them, screens draw them. Means are over the rollouts of the step unless a comment
// says otherwise; times are in seconds.

import type { ToolFailure } from "../types.ts";

/** Mean and maximum of a quantity. */
export interface MeanMax {
  readonly mean: number;
  readonly max: number;
}

/** Calls of one tool. Latencies are what a rollout waited, with retries and queue. */
export interface ToolFigures {
  readonly tool: string;
  readonly calls: number;
  readonly failures: Readonly<Partial<Record<ToolFailure, number>>>;
  readonly retries: number;
  readonly recorded: number; // answered from the recording, or with another call of the same input
  readonly p50Ms: number; // of calls for which the tool was asked; 0 without any
  readonly p99Ms: number;
  readonly breaker: "closed" | "open" | "half_open"; // at the end
}

/** Live native objects and bytes after the step, and its peaks, as `counters()` reports them. */
export interface NativeCounters {
  readonly devices: number;
  readonly policies: number;
  readonly caches: number;
  readonly trainers: number;
  readonly cpuBytes: number;
  readonly cpuPeakBytes: number;
  readonly deviceBytes: number;
  readonly devicePeakBytes: number;
}

/** A phase's tokens, the seconds it took, and their quotient (0 when the phase did not run). */
export interface Throughput {
  readonly tokens: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

export interface StepMetrics {
  readonly step: number; // from 1, over the whole run
  readonly stage: string; // "stage1"
  readonly stageStep: number; // from 1, within the stage
  readonly shots: number;

  readonly reward: number;
  readonly rewardStd: number;
  readonly components: Readonly<Record<string, number>>; // mean of each reward component
  readonly em: number;
  readonly validFormat: number;
  readonly toolCalls: number;
  readonly callsByTool: Readonly<Record<string, number>>; // mean calls, by the tool's name
  readonly toolFailures: number; // failed calls of the step, a count
  readonly tools: readonly ToolFigures[]; // in the recipe's order

  readonly numRollouts: number;
  readonly numGroups: number;
  readonly zeroVarianceGroups: number; // groups of equal reward, skipped by the update
  readonly finishReasons: Readonly<Record<string, number>>; // counts by FinishReason
  readonly finishTurns: readonly number[]; // entry i: rollouts that ended in turn i + 1
  readonly promptTokens: MeanMax;
  readonly responseTokens: MeanMax; // policy and observation
  readonly policyTokens: MeanMax; // sampled, hence trained

  readonly entropy: number; // nats, mean over sampled tokens
  readonly loss: number;
  readonly kl: number; // to the reference, mean over sampled tokens; 0 without a reference
  readonly clipShare: number; // of sampled tokens
  readonly gradNorm: number; // before clipping; of the step's last update
  readonly learningRate: number;
  readonly updates: number;
  readonly logprobDifference: MeanMax; // |sampler - trainer| over sampled tokens

  readonly prefill: Throughput;
  readonly decode: Throughput;
  readonly update: Throughput; // tokens counted as separate rows
  readonly decodeOccupancy: number; // mean sequences in a decode batch
  readonly trieRatio: number; // row tokens / distinct tokens; 1 = nothing shared
  readonly seconds: number; // of the whole step, rollouts, tools and update
  readonly memory: PlannedMemory;
  readonly native: NativeCounters;
}

/** The engine's tensors at their most in the step, and what the plan of its micro-batches said. */
export interface PlannedMemory {
  readonly plannedBytes: number;
  readonly usedBytes: number;
  readonly numBatches: number; // micro-batches, over the step's updates
}

/** One evaluation: a policy at a stage's end, at one number of shots. */
export interface Evaluation {
  readonly stage: string; // "base" before the first stage, else the stage that has just ended
  readonly step: number; // steps done when it was made
  readonly shots: number;
  readonly numSamples: number;
  readonly em: number;
  readonly emByHops: Readonly<Record<string, number>>; // "1", "2"; empty where tasks do not say
  readonly validFormat: number;
  readonly toolCalls: number;
  readonly callsByTool: Readonly<Record<string, number>>;
  readonly seconds: number;
}
