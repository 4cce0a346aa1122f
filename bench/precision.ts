// Question: how far are the sampler's and the trainer's logprobs apart in bf16, and each from the same weights in double? On
// trained nano and on a random policy whose head is sharp, so that a step of rounding shows. Not a speed measurement.
//   npx bun bench/precision.ts [--device cpu|cuda] [--dtype bf16|f32]

import { parseArgs } from "node:util";
import { KvCache } from "../ffi/cache.ts";
import { Device, type DeviceKind } from "../ffi/device.ts";
import { type Dtype, Policy, type PolicyConfig } from "../ffi/policy.ts";
import { nanoFolder } from "../src/model/nano/folder.ts";
import { loadPolicy } from "../src/model/weights.ts";
import { InProcessEngine } from "../src/rollout/in-process.ts";
import { buildBatches, gatherTargets } from "../src/train/trie.ts";
import { shapeOf, type StepShape } from "./shapes.ts";
import { openTrainer, randomPrompts, sampleAll } from "./work.ts";

/** Differences of logprobs over the sampled tokens, in nats. */
export interface Precision {
  readonly tokens: number;
  readonly entropy: number; // mean
  readonly gapMean: number; // |sampler - trainer|
  readonly gapMax: number;
  readonly samplerError: number; // mean |sampler - double|
  readonly trainerError: number; // mean |trainer - double|
}

export const PRECISION_SHAPE: StepShape = { prompts: 3, samples: 6, shared: 70, own: 21, sampled: 48 };

type OpenPolicy = (device: Device, dtype: Dtype) => Policy;

/** Eight layers of random weights, and logits whose standard deviation is about 4. */
const openSharp =
  (std: number): OpenPolicy =>
  (device, dtype) => {
    const policy = Policy.open(device, SHARP, dtype);
    policy.randomize(1, std);
    const scale = 4 / (std * Math.sqrt(SHARP.hidden));
    const head = policy.read("lm_head.weight").map((weight) => scale * weight);
    policy.write("lm_head.weight", head, "f32");
    return policy;
  };
const SHARP: PolicyConfig = {
  ...shapeOf("tiny-qwen2.5"),
  hidden: 256,
  layers: 8,
  ffn: 704,
  vocab: 2048,
  tied: false,
};

export const POLICIES: Readonly<Record<string, OpenPolicy>> = {
  "trained nano": (device, dtype) => loadPolicy(device, nanoFolder(), dtype),
  "random, std 0.02, sharp head": openSharp(0.02),
  // Every layer overwrites the stream: a difference in its last bit is one of 2^-8 a few layers on.
  "random, std 1 / 16, sharp head": openSharp(1 / 16),
};

export async function measurePrecision(
  kind: DeviceKind,
  dtype: Dtype,
  open: OpenPolicy,
  shape: StepShape = PRECISION_SHAPE,
): Promise<Precision> {
  using device = Device.open(kind);
  using policy = open(device, dtype);
  using cache = KvCache.open(policy, { numPages: 128, pageTokens: 16 });
  const engine = new InProcessEngine(policy, cache);
  const rollouts = await sampleAll(engine, randomPrompts(shape, policy.config.vocab), shape, 1);
  const [batch] = buildBatches(rollouts, { maxTokens: 1 << 20 });
  using trainer = openTrainer(policy);
  using cpu = Device.open("cpu");
  using double = Policy.open(cpu, policy.config, "f64");
  double.copyFrom(policy);
  const { logprobs_N: trained, entropies_N } = trainer.logprobs(batch!, { temperature: 1 });
  const exact = double.logprobs(batch!).logprobs_N;
  const sampled = gatherTargets(batch!, rollouts.map((each) => each.samplerLogprobs_L));
  const gaps = differences(sampled, trained);
  return {
    tokens: gaps.length,
    entropy: mean(entropies_N),
    gapMean: mean(gaps),
    gapMax: Math.max(...gaps),
    samplerError: mean(differences(sampled, exact)),
    trainerError: mean(differences(trained, exact)),
  };
}

const differences = (a: Float64Array, b: Float64Array): Float64Array =>
  a.map((value, n) => Math.abs(value - b[n]!));

const mean = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      device: { type: "string", default: "cpu" },
      dtype: { type: "string", default: "bf16" },
    },
  });
  const [kind, dtype] = [values.device as DeviceKind, values.dtype as Dtype];
  for (const [name, open] of Object.entries(POLICIES)) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    const figures = await measurePrecision(kind, dtype, open);
    console.log(JSON.stringify({ policy: name, device: kind, dtype, ...figures }));
  }
}
