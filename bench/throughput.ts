// How many tokens a second: prefill, decode, update and a whole GRPO step, for nano's shape and a random Qwen2.5-0.5B shape.
// Medians of whole repeats; FLOPs count products and attention as done, recomputation not.
import { Device } from "../ffi/device.ts";
import { KvCache } from "../ffi/cache.ts";
import { counters, resetPeak } from "../ffi/native.ts";
import { Policy } from "../ffi/policy.ts";
import { Trainer } from "../ffi/trainer.ts";
import { update, type UpdateResult, type WeighedRollout } from "../src/train/update.ts";
import { InProcessEngine } from "../src/rollout/in-process.ts";
import { numRollouts, rowTokens, type ShapeName, shapeOf, STEP_SHAPE, type StepShape } from "./shapes.ts";
import { pagesFor, type Prompt, randomPrompts, sampleAll } from "./work.ts";

export interface ThroughputRow {
  readonly policy: ShapeName;
  readonly shape: StepShape;
  readonly repeats: number;
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly updateTokensPerSecond: number; // tokens as separate rows
  readonly distinctUpdateTokensPerSecond: number;
  readonly trieRatio: number;
  readonly stepSeconds: number;
  readonly generateSeconds: number;
  readonly updateSeconds: number;
  readonly peakBytes: number; // of tensors
}

/** nano at the common shape; the 0.5B shape small enough for a minute on two cores. */
export const CASES: readonly { readonly policy: ShapeName; readonly shape: StepShape; readonly repeats: number }[] = [
  { policy: "nano", shape: STEP_SHAPE, repeats: 5 },
  { policy: "qwen2.5-0.5b", shape: { prompts: 2, samples: 4, shared: 96, own: 16, sampled: 8 }, repeats: 1 },
];

const PAGE_TOKENS = 64;

export async function measureThroughput(
  { policy: name, shape, repeats }: (typeof CASES)[number],
  deviceKind: "cpu" | "cuda",
): Promise<ThroughputRow> {
  using device = Device.open(deviceKind);
  using policy = Policy.open(device, shapeOf(name), deviceKind === "cpu" ? "f32" : "bf16");
  policy.randomize(0, 0.02);
  using cache = KvCache.open(policy, { numPages: pagesFor(shape, PAGE_TOKENS), pageTokens: PAGE_TOKENS });
  using trainer = Trainer.open(policy, { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 });
  const engine = new InProcessEngine(policy, cache);
  const prompts = randomPrompts(shape, policy.config.vocab);
  await timeStep(engine, trainer, prompts, shape, 0); // warm-up
  resetPeak();
  const steps: Timing[] = [];
  for (let i = 1; i <= repeats; i++) steps.push(await timeStep(engine, trainer, prompts, shape, i));
  return { policy: name, shape, repeats, ...summarise(steps, shape), peakBytes: peakBytes(deviceKind) };
}

interface Timing {
  readonly generateMs: number;
  readonly updateMs: number;
  readonly prefillMs: number;
  readonly prefillTokens: number;
  readonly decodeMs: number;
  readonly decodeTokens: number;
  readonly result: UpdateResult;
}

async function timeStep(
  engine: InProcessEngine,
  trainer: Trainer,
  prompts: readonly Prompt[],
  shape: StepShape,
  seed: number,
): Promise<Timing> {
  const before = engine.counters();
  const start = performance.now();
  const rollouts = await sampleAll(engine, prompts, shape, seed);
  const middle = performance.now();
  const weighed = rollouts.map((rollout, i): WeighedRollout => ({ rollout, advantage: i % 2 === 0 ? 1 : -1 }));
  const result = update({ trainer, reference: undefined }, weighed, UPDATE);
  const end = performance.now();
  const after = engine.counters();
  return {
    generateMs: middle - start,
    updateMs: end - middle,
    prefillMs: after.prefillMs - before.prefillMs,
    prefillTokens: after.prefillTokens - before.prefillTokens,
    decodeMs: after.decodeMs - before.decodeMs,
    decodeTokens: after.decodeTokens - before.decodeTokens,
    result,
  };
}

const UPDATE = {
  temperature: 1,
  objective: { clipLow: 0.2, clipHigh: 0.2, kl: { kind: "k3", coefficient: 0 }, entropy: 0 },
  reduction: { kind: "token_mean" },
  recompute: "nothing",
  maxBatchTokens: 16384,
  learningRate: 1e-6,
  maxGradNorm: 1,
  gapGate: { mean: 1e-3, max: 1e-1 },
} as const;

function summarise(steps: readonly Timing[], shape: StepShape) {
  const middle = (of: (step: Timing) => number) => median(steps.map(of));
  const { rowTokens: rows, distinctTokens } = steps[0]!.result;
  const updateMs = middle((step) => step.updateMs);
  return {
    prefillTokensPerSecond: middle((step) => (step.prefillTokens / step.prefillMs) * 1000),
    decodeTokensPerSecond: (numRollouts(shape) * shape.sampled * 1000) / middle((step) => step.generateMs - step.prefillMs),
    updateTokensPerSecond: (rowTokens(shape) * 1000) / updateMs,
    distinctUpdateTokensPerSecond: (distinctTokens * 1000) / updateMs,
    trieRatio: rows / distinctTokens,
    stepSeconds: middle((step) => step.generateMs + step.updateMs) / 1000,
    generateSeconds: middle((step) => step.generateMs) / 1000,
    updateSeconds: updateMs / 1000,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function peakBytes(device: "cpu" | "cuda"): number {
  const { cpuPeakBytes, devicePeakBytes } = counters();
  return device === "cpu" ? cpuPeakBytes : devicePeakBytes;
}
