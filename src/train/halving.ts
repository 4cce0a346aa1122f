// When memory runs out in an update, it starts again with micro-batches of half the size, which
// gives the same gradients. Not for memory that other things take.

import { OutOfMemoryError } from "../../ffi/errors.ts";
import type { Trainer } from "../../ffi/trainer.ts";

export interface BatchLimits {
  readonly maxBatchTokens: number;
  /** The longest rollout: no batch can be smaller. */
  readonly minBatchTokens: number;
}

/** `accumulate` adds up the gradients of an update and may be called again, from the start. */
export function withHalvedBatches<T>(
  trainer: Pick<Trainer, "zero">,
  { maxBatchTokens, minBatchTokens }: BatchLimits,
  accumulate: (maxBatchTokens: number) => T,
): T {
  try {
    return accumulate(maxBatchTokens);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    trainer.zero();
    const half = Math.floor(maxBatchTokens / 2);
    if (half < minBatchTokens) throw error;
    return withHalvedBatches(trainer, { maxBatchTokens: half, minBatchTokens }, accumulate);
  }
}
