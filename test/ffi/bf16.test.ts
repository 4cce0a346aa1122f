// A policy in bf16 on the CPU, where recipes refuse it: the same code that a GPU runs, so that mixed precision is tested
// without one.

import { expect, test } from "bun:test";
import { measurePrecision, POLICIES } from "../../bench/precision.ts";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { ADAMW, openCpu, openTiny, randomIds, relativeError, rowsBatch, tinyConfig } from "../helpers/engine.ts";

test("trained nano's sampler and trainer agree in bf16 within 0.002 nats a token, of an error of 0.006", async () => {
  using _ = openCpu(); // one thread
  const figures = await measurePrecision("cpu", "bf16", POLICIES["trained nano"]!);
  expect(figures.gapMean).toBeLessThan(0.002);
  expect(figures.trainerError).toBeLessThan(0.006);
  expect(figures.trainerError).toBeGreaterThan(1e-4); // it is bf16
});

test("gradients of a bf16 policy add up in fp32: 64 small batches lose nothing", () => {
  using device = openCpu();
  using policy = openTiny(device, "bf16");
  using trainer = Trainer.open(policy, ADAMW);
  const batch = rowsBatch([randomIds(9, 37, 3)]);
  const gradientOf = (times: number): Float64Array => {
    trainer.zero();
    for (let i = 0; i < times; i++) {
      const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
      trainer.backward(new Float64Array(logprobs_N.length).fill(1 / times));
    }
    return trainer.readTensorF64("gradient", "model.layers.1.mlp.down_proj.weight");
  };
  // A power of two scales a number of bf16 without rounding it.
  expect(relativeError(gradientOf(64), gradientOf(1))).toBeLessThan(1e-5);
});

test("the CPU refuses f16", () => {
  using device = openCpu();
  expect(() => Policy.open(device, tinyConfig(), "f16")).toThrow(InvalidArgumentError);
});
