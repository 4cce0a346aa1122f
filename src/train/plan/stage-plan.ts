// A stage's step on paper: its micro-batches under a memory budget, the bytes at the peak of its
// parts, the FLOPs of its work. Pure.

import type { Branches } from "../branches.ts";
import { type BatchLoad, loadOf, splitBranches } from "../split.ts";
import { forwardFlops, headTrainingFlops, tokenFlops, trainingFlops } from "./cost.ts";
import { batchBytes, rolloutBytes } from "./batch-memory.ts";
import type { EngineShape } from "./engine-shape.ts";
import { batchPlanner, type BatchLimits } from "./planner.ts";
import { branchesOf, type StepShape } from "./step-shape.ts";

export interface StagePlan {
  readonly shared: number; // tokens of the prompt that all rollouts have
  readonly own: number; // mean over prompts
  readonly rollouts: number;
  readonly rowTokens: number;
  readonly distinctTokens: number; // without any split
  readonly trieRatio: number; // row tokens over the rows of all micro-batches
  readonly batches: BatchesPlan;
  /** Of tensors beyond what is resident. */
  readonly bytes: { readonly update: number; readonly rollouts: number };
  readonly flops: StageFlops;
}
export interface BatchesPlan {
  readonly count: number;
  readonly tokens: number; // over all of them
  readonly largest: number; // rows
  readonly recomputed: number; // layers, the most of any
}
/** Products and attention as done; recomputed ones and those of repeated tokens count. */
export interface StageFlops {
  readonly rollouts: number;
  readonly update: number;
  readonly reference: number;
}

export interface StageOptions {
  readonly limits: BatchLimits;
  readonly updates: number; // a step's
  readonly hasReference: boolean;
  /** New tokens of a rollout step, and sequences that are sampled at once, at most. */
  readonly maxPrefill: number;
  readonly maxInFlight: number;
}

export function planStage(shape: EngineShape, step: StepShape, options: StageOptions): StagePlan {
  const { shared, own_P } = step.prompts;
  const groups = splitPrompts(own_P, options.updates);
  const all = branchesOf(step);
  const updates = groups.map((own) =>
    planUpdate(shape, branchesOf({ ...step, prompts: { shared, own_P: own } }), options.limits),
  );
  const batches = updates.flat();
  const tokens = sum(batches.map(({ load }) => load.tokens));
  const rowTokens = all.lengths_B.reduce((total, length) => total + length, 0);
  const rollouts = own_P.length * step.samples;
  return {
    shared,
    own: own_P.length === 0 ? 0 : sum(own_P) / own_P.length,
    rollouts,
    rowTokens,
    distinctTokens: distinctOf(all).tokens,
    trieRatio: tokens === 0 ? 1 : rowTokens / tokens,
    batches: {
      count: batches.length,
      tokens,
      largest: Math.max(0, ...batches.map(({ load }) => load.tokens)),
      recomputed: Math.max(0, ...batches.map(({ recomputed }) => recomputed)),
    },
    bytes: {
      update: Math.max(0, ...batches.map(({ bytes }) => bytes)),
      rollouts: samplingBytes(shape, step, rollouts, options),
    },
    flops: flopsOf(shape, all, batches, options.hasReference),
  };
}

interface PlannedBatch {
  readonly load: BatchLoad;
  readonly recomputed: number;
  readonly bytes: number;
}

function planUpdate(
  shape: EngineShape,
  branches: Branches,
  limits: BatchLimits,
): readonly PlannedBatch[] {
  const targets = branches.targets_B.reduce((total, each) => total + each, 0);
  const planner = batchPlanner(shape, limits, targets);
  return splitBranches(branches, planner).map((part) => {
    const load = loadOf(branches, part);
    const recomputed = planner.recomputed(load)!;
    return { load, recomputed, bytes: batchBytes(shape, { ...load, recomputed }) };
  });
}

/** As a step's groups are split into its updates. */
function splitPrompts(own_P: readonly number[], updates: number): number[][] {
  const cut = (index: number): number => Math.round((index * own_P.length) / updates);
  return Array.from({ length: updates }, (_, i) => own_P.slice(cut(i), cut(i + 1))).filter(
    ({ length }) => length > 0,
  );
}

/** Prompts are computed first, many at once; then a row each, and logits of all. */
function samplingBytes(
  shape: EngineShape,
  { prompts: { shared, own_P }, response }: StepShape,
  rollouts: number,
  { maxPrefill, maxInFlight }: StageOptions,
): number {
  const inFlight = Math.min(rollouts, maxInFlight);
  const observed = response.turns > 1 ? inFlight * response.observation : 0;
  const prefill = Math.min(maxPrefill, Math.max(shared + sum(own_P), observed));
  return Math.max(
    rolloutBytes(shape, prefill + inFlight, inFlight),
    rolloutBytes(shape, inFlight, inFlight),
  );
}

/** A rollout computes the rows of the whole step's trie once, and logits of each sampled token. */
function flopsOf(
  { config }: EngineShape,
  all: Branches,
  batches: readonly PlannedBatch[],
  hasReference: boolean,
): StageFlops {
  const flops = tokenFlops(config);
  const targets = sum(batches.map(({ load }) => load.targets));
  const head = targets * flops.head;
  const reference = sum(batches.map(({ load }) => forwardFlops(flops, load))) + head;
  const trained = ({ load, recomputed }: PlannedBatch): number =>
    trainingFlops(flops, load, recomputed / config.layers);
  return {
    rollouts: forwardFlops(flops, distinctOf(all)) + head,
    update: sum(batches.map(trained)) + headTrainingFlops(flops, targets),
    reference: hasReference ? reference : 0,
  };
}

const distinctOf = (branches: Branches): BatchLoad =>
  loadOf(branches, [...branches.lengths_B.keys()]);

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
