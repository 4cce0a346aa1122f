// One optimizer step of supervised fine-tuning: the mean negative logprob of the policy's tokens in
// a batch of examples, through the same trie batches as RL, with constant coefficients. Prompt and
// observation tokens are read and carry no loss.

import type { Trainer } from "../../ffi/trainer.ts";
import type { Random } from "../data/random.ts";
import { withHalvedBatches } from "./halving.ts";
import type { SftExample } from "./sft-examples.ts";
import { buildBatches } from "./trie.ts";

export interface SftUpdateOptions {
  readonly learningRate: number;
  readonly maxGradNorm: number;
  readonly recompute: "nothing" | "layers";
  /** Distinct tokens of a micro-batch; fewer where memory runs out. */
  readonly maxBatchTokens: number;
}
export interface SftUpdate {
  readonly loss: number; // nats a token, before the step
  readonly numTokens: number; // that carry loss
  readonly gradNorm: number;
}

export function sftUpdate(
  trainer: Trainer,
  examples: readonly SftExample[],
  { learningRate, maxGradNorm, recompute, maxBatchTokens }: SftUpdateOptions,
): SftUpdate {
  const numTokens = examples.reduce((sum, { numTargets }) => sum + numTargets, 0);
  const minBatchTokens = Math.max(...examples.map(({ tokens_L }) => tokens_L.length));
  const accumulate = (maxTokens: number): number => {
    let sum = 0;
    for (const batch of buildBatches(examples, { maxTokens })) {
      const { logprobs_N } = trainer.logprobs(batch, { temperature: 1, recompute });
      trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / numTokens));
      for (const logprob of logprobs_N) sum += logprob;
    }
    return sum;
  };
  const sum = withHalvedBatches(trainer, { maxBatchTokens, minBatchTokens }, accumulate);
  const { gradNorm } = trainer.step({ learningRate, maxGradNorm });
  return { loss: -sum / numTokens, numTokens, gradNorm };
}

/** Every example once, shuffled, in batches of one size but for the last. */
export function shuffledBatches<T>(
  examples: readonly T[],
  batchSize: number,
  random: Random,
): readonly (readonly T[])[] {
  const shuffled = random.shuffle(examples);
  return Array.from({ length: Math.ceil(shuffled.length / batchSize) }, (_, index) =>
    shuffled.slice(index * batchSize, (index + 1) * batchSize),
  );
}
