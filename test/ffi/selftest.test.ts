// The doctor's self-test passes on the CPU, and would notice a wrong kernel's name.

import { expect, test } from "bun:test";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import { selftest } from "../../ffi/selftest.ts";
import { openCpu } from "../helpers/engine.ts";

test.each(["f32", "bf16"] as const)("every part of the self-test in %s is within its bound on the CPU", (dtype) => {
  using device = openCpu();
  const results = selftest(device, [dtype]);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
  for (const part of ["forward", "gradients", "cache", "decode", "sampler", "optimizer", "kernel"]) {
    expect(
      results.some(({ name }) => name.startsWith(part)),
      part,
    ).toBe(true);
  }
});

test("a kernel that does not exist is an error", () => {
  using device = openCpu();
  expect(() => device.checkKernel("no-such-kernel")).toThrow(InvalidArgumentError);
});
