// One optimizer step of supervised fine-tuning: the mean negative logprob of the policy's tokens in
// a batch of examples, through the same trie batches as RL, with constant coefficients. Prompt and
// observation tokens are read and carry no loss.

import type { Trainer } from "../../ffi/trainer.ts";
import type { Random } from "../data/random.ts";
import { withPlannedBatches } from "./planned-batches.ts";
import type { UpdateBudget } from "./plan/budget.ts";
import type { SftExample } from "./sft-examples.ts";

export interface SftUpdateOptions {
  readonly learningRate: number;
  readonly maxGradNorm: number;
  readonly budget: UpdateBudget;
}
export interface SftUpdate {
  readonly loss: number; // nats a token, before the step
  readonly numTokens: number; // that carry loss
  readonly gradNorm: number;
}

export function sftUpdate(
  trainer: Trainer,
  examples: readonly SftExample[],
  { learningRate, maxGradNorm, budget }: SftUpdateOptions,
): SftUpdate {
  const numTokens = examples.reduce((sum, { numTargets }) => sum + numTargets, 0);
  const sum = withPlannedBatches(trainer, examples, budget, ({ batches }) => {
    let total = 0;
    for (const batch of batches) {
      const options = { temperature: 1, recompute: batch.recomputed };
      const { logprobs_N } = trainer.logprobs(batch, options);
      trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / numTokens));
      for (const logprob of logprobs_N) total += logprob;
    }
    return total;
  });
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
