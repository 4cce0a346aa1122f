// Training with a smaller optimizer follows training with fp32: nano from scratch, the same batches. Short; the longer
// comparison is the bench itself.

import { expect, test } from "bun:test";
import { lastLoss, trainCurve, trainingBatches } from "../../bench/optimizer.ts";
import { setThreads } from "../../ffi/native.ts";

test("40 steps with 8-bit moments, and in bf16 alone with them, end within 0.05 nats of fp32 (it falls by 3)", () => {
  setThreads(1);
  const batches = trainingBatches(40);
  const full = trainCurve("cpu", "f32", batches);
  expect(full.losses[0]! - lastLoss(full)).toBeGreaterThan(2.5);
  for (const name of ["f32, 8-bit moments", "bf16 alone, 8-bit moments"] as const) {
    const smaller = lastLoss(trainCurve("cpu", name, batches));
    expect(Math.abs(smaller - lastLoss(full)), name).toBeLessThan(0.05);
  }
}, 120_000);
