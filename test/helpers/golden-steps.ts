// The clipped steps of golden/adamw.py and golden/lora.py, taken by our trainer, and how their
// tensors are compared.

import { expect } from "bun:test";
import type { Trainer } from "../../ffi/trainer.ts";
import { rowsBatch } from "./engine.ts";
import type { TensorDigest } from "./folders.ts";

export interface GoldenSteps {
  readonly learningRates: readonly number[];
  readonly batches: readonly (readonly number[][])[];
  readonly settings: { readonly maxGradNorm: number };
}

/** The mean negative logprob and the gradient's norm of each step. */
export function goldenSteps(
  trainer: Trainer,
  { learningRates, batches, settings: { maxGradNorm } }: GoldenSteps,
): { losses: number[]; norms: number[] } {
  const losses: number[] = [];
  const norms: number[] = [];
  learningRates.forEach((learningRate, step) => {
    const batch = rowsBatch(batches[step % batches.length]!);
    const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
    losses.push(-logprobs_N.reduce((sum, value) => sum + value, 0) / logprobs_N.length);
    trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / logprobs_N.length));
    norms.push(trainer.step({ learningRate, maxGradNorm }).gradNorm);
  });
  return { losses, norms };
}

export function near(
  actual: TensorDigest,
  expected: TensorDigest,
  bound: number,
  name: string,
): void {
  expect(Math.abs(actual.norm / expected.norm - 1), name).toBeLessThan(bound);
  expect(Math.abs(actual.dot - expected.dot) / expected.norm, name).toBeLessThan(bound * 10);
}
