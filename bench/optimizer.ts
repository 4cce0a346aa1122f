// Question: does training with a smaller optimizer follow training with the full one? The embedded policy's pretraining from
// scratch, short rows, under each option, the same batches: mean loss of the last steps in nats a token, and the seconds of an
// optimizer step. On a CPU that is about the numbers, not about speed.
//   npx bun bench/optimizer.ts [--device cpu|cuda] [--steps 200] [--only NAME]

import { parseArgs } from "node:util";
import { Device, type DeviceKind } from "../ffi/device.ts";
import { type Dtype, Policy, type TrieBatch } from "../ffi/policy.ts";
import { Trainer, type TrainerConfig } from "../ffi/trainer.ts";
import { pretrainingRows } from "../src/data/pretraining/nano.ts";
import { nanoFolder } from "../src/model/nano/folder.ts";
import { openTokenizer } from "../src/model/tokenizer-folder.ts";
import { readConfig } from "../src/model/model-folder.ts";
import { batchOfRows } from "../src/train/pretrain.ts";
import { shapeOf } from "./shapes.ts";

interface Kind {
  readonly dtype: Dtype;
  readonly config: Partial<TrainerConfig>;
}
export const KINDS = {
  f32: { dtype: "f32", config: {} },
  "f32, 8-bit moments": { dtype: "f32", config: { stateBits: 8 } },
  "bf16, fp32 masters": { dtype: "bf16", config: {} },
  "bf16 alone": { dtype: "bf16", config: { masterWeights: false } },
  "bf16 alone, 8-bit moments": { dtype: "bf16", config: { masterWeights: false, stateBits: 8 } },
} as const satisfies Record<string, Kind>;
export type KindName = keyof typeof KINDS;

export interface Curve {
  readonly losses: readonly number[]; // nats a token, of each step
  readonly stepMs: number; // of the optimizer, mean
}

/** As the recipes' optimizer has them; a rate that trains from scratch. */
const ADAMW = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, seed: 1 };
const LEARNING_RATE = 1e-3;
const ROWS = { count: 12, tokens: 48 };

export function trainingBatches(steps: number): TrieBatch[] {
  const folder = nanoFolder();
  const rows = pretrainingRows(openTokenizer(folder, readConfig(folder)), 1);
  const next = (): Int32Array => (rows.next().value as Int32Array).subarray(0, ROWS.tokens);
  return Array.from({ length: steps }, () => batchOfRows(Array.from({ length: ROWS.count }, next)));
}

export function trainCurve(kind: DeviceKind, name: KindName, batches: readonly TrieBatch[]): Curve {
  const { dtype, config } = KINDS[name];
  using device = Device.open(kind);
  using policy = Policy.open(device, shapeOf("nano"), dtype);
  policy.randomize(1, 0.02);
  using trainer = Trainer.open(policy, { ...ADAMW, ...config });
  let stepMs = 0;
  const losses = batches.map((batch) => {
    const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
    const { length: count } = logprobs_N;
    trainer.backward(new Float64Array(count).fill(-1 / count));
    const start = performance.now();
    trainer.step({ learningRate: LEARNING_RATE, maxGradNorm: 1 });
    stepMs += (performance.now() - start) / batches.length;
    return -logprobs_N.reduce((sum, logprob) => sum + logprob, 0) / count;
  });
  return { losses, stepMs };
}

/** Mean loss of the last tenth of the steps. */
export function lastLoss({ losses }: Curve): number {
  const last = losses.slice(-Math.ceil(losses.length / 10));
  return last.reduce((sum, loss) => sum + loss, 0) / last.length;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      device: { type: "string", default: "cpu" },
      steps: { type: "string", default: "200" },
      only: { type: "string" },
    },
  });
  const batches = trainingBatches(Number(values.steps));
  const names = Object.keys(KINDS).filter((name) => name === (values.only ?? name)) as KindName[];
  for (const name of names) {
    const curve = trainCurve(values.device as DeviceKind, name, batches);
    const { losses, stepMs } = curve;
    const figures = { first: losses[0], last: lastLoss(curve), step_ms: stepMs };
    console.log(JSON.stringify({ name, device: values.device, steps: batches.length, ...figures }));
  }
}
