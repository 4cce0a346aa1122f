// The limit on what CPU tensors may hold: what does not fit fails with an error that says so, frees
// what it took, and leaves everything usable.

import { afterEach, describe, expect, test } from "bun:test";
import { OutOfMemoryError } from "../../ffi/errors.ts";
import { counters, setMemoryLimit } from "../../ffi/native.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { ADAMW, openCpu, openTiny, randomIds, rowsBatch } from "../helpers/engine.ts";

const BATCH = rowsBatch(Array.from({ length: 20 }, (_, row) => randomIds(30, 37, row)));
const D_N = new Float64Array(BATCH.targetRows_N.length).fill(0.01);

afterEach(() => setMemoryLimit(0));

for (const threads of [1, 2]) {
  describe(`with ${threads} threads`, () => {
    test("at every limit that is too low a batch fails whole and frees what it took", () => {
      using device = openCpu(threads);
      using policy = openTiny(device, "f64");
      using trainer = Trainer.open(policy, ADAMW);
      const gradient = () => trainer.readTensorF64("gradient", "model.norm.weight");
      const work = () => {
        trainer.logprobs(BATCH, { temperature: 1 });
        trainer.backward(D_N);
      };
      work(); // what stays, the rotary table and packed weights, is there from now on
      const expected = gradient();
      trainer.zero();
      const { cpuBytes: before } = counters();
      const limits = Array.from({ length: 6 }, (_, i) => before + 1 + i * 300_000);
      const failures = limits.filter((limit) => {
        setMemoryLimit(limit);
        try {
          work();
          return false;
        } catch (error) {
          expect(error).toBeInstanceOf(OutOfMemoryError);
          return true;
        } finally {
          setMemoryLimit(0);
          trainer.zero();
          expect(counters().cpuBytes).toBe(before);
        }
      });
      expect(failures.length).toBeGreaterThan(1);
      expect(limits.slice(0, failures.length)).toEqual(failures);
      work();
      expect(gradient()).toEqual(expected);
    });
  });
}

test("a policy that does not fit is none", () => {
  using device = openCpu();
  const before = counters();
  setMemoryLimit(before.cpuBytes + 1000);
  expect(() => openTiny(device, "f32")).toThrow(OutOfMemoryError);
  const { policies, cpuBytes } = counters();
  expect({ policies, cpuBytes }).toEqual({ policies: before.policies, cpuBytes: before.cpuBytes });
});
