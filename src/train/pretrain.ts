// Pretraining of the embedded policy on generated documents (data/pretraining): next-token
// prediction, through the same engine calls as RL, with constant coefficients -1/N. Not for other
// models and not a general trainer: the sizes are a recipe whose result was measured. Everything
// follows from the seed.

import type { Device } from "../../ffi/device.ts";
import { Policy, type TrieBatch } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { pretrainingRows } from "../data/pretraining/nano.ts";
import { parseModelConfig } from "../model/hf-config.ts";
import { nanoConfig } from "../model/nano/config.ts";
import { nanoSettings } from "../model/nano/settings.ts";
import { saveFolder } from "../model/weights.ts";
import type { Tokenizer, TokenizerJson } from "../model/tokenizer.ts";

export interface PretrainOptions {
  readonly seed: number;
  readonly steps: number;
}
export interface PretrainStep {
  readonly step: number;
  readonly loss: number; // mean negative logprob of a token, in nats
  readonly gradNorm: number;
}

const ROWS_PER_STEP = 11;
const WARMUP_STEPS = 50;
const DECAY_SHARE = 0.6;
const LEARNING_RATE = 3e-3; // embedding and norms, AdamW
const MUON_LEARNING_RATE = 0.02; // matrices of the layers
const TRAINER = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0, muonMomentum: 0.95 };
const INIT_STD = 0.02;

/** Trains a fresh policy, reporting each step; the caller closes it. */
export async function pretrainNano(
  device: Device,
  tokenizer: Tokenizer,
  { seed, steps }: PretrainOptions,
  report: (step: PretrainStep) => void,
): Promise<Policy> {
  const config = parseModelConfig(JSON.stringify(nanoConfig), "nano/config.json").policy;
  const policy = Policy.open(device, config, "f32");
  policy.randomize(seed, INIT_STD);
  using trainer = Trainer.open(policy, TRAINER);
  const rows = pretrainingRows(tokenizer, seed);
  for (let step = 0; step < steps; step++) {
    const batch = batchOfRows(
      Array.from({ length: ROWS_PER_STEP }, () => rows.next().value as Int32Array),
    );
    report({ step: step + 1, ...trainStep(trainer, batch, scheduleAt(step, steps)) });
    await Bun.sleep(0); // lets a signal in
  }
  return policy;
}

function trainStep(trainer: Trainer, batch: TrieBatch, scale: number): Omit<PretrainStep, "step"> {
  const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
  const count = logprobs_N.length;
  trainer.backward(new Float64Array(count).fill(-1 / count));
  const { gradNorm } = trainer.step({
    learningRate: LEARNING_RATE * scale,
    muonLearningRate: MUON_LEARNING_RATE * scale,
    maxGradNorm: 1,
  });
  return { loss: -logprobs_N.reduce((sum, logprob) => sum + logprob, 0) / count, gradNorm };
}

/** Linear warm-up, then constant, then linear decay to 0 over the last share of the steps. */
export function scheduleAt(step: number, steps: number): number {
  return Math.min(1, (step + 1) / WARMUP_STEPS, (steps - step) / (DECAY_SHARE * steps));
}

/**
 * Rows side by side: a trie of roots only. Each token but a row's last has the next one as target.
 */
export function batchOfRows(rows: readonly Int32Array[]): TrieBatch {
  const length = rows[0]?.length ?? 0;
  const count = rows.length * (length - 1);
  const tokens_T = new Int32Array(rows.length * length);
  const segments_S3 = new Int32Array(rows.length * 3);
  rows.forEach((row, r) => {
    tokens_T.set(row, r * length);
    segments_S3.set([r * length, (r + 1) * length, (r + 1) * length], r * 3);
  });
  const targetRows_N = Int32Array.from(
    { length: count },
    (_, n) => n + Math.floor(n / (length - 1)),
  );
  return {
    tokens_T,
    positions_T: tokens_T.map((_, t) => t % length),
    segments_S3,
    targetRows_N,
    targetIds_N: targetRows_N.map((row) => tokens_T[row + 1] as number),
  };
}

/** Writes the model folder, weights in bf16. */
export function saveNano(policy: Policy, tokenizer: TokenizerJson, folder: string): void {
  saveFolder(policy, folder, { dtype: "bf16", copyFrom: nanoSettings(tokenizer) });
}
