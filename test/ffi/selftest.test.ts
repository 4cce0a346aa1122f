// The doctor's self-test passes on the CPU, and would notice a wrong kernel's name.

import { expect, test } from "bun:test";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import { selftest } from "../../ffi/selftest.ts";
import { openCpu } from "../helpers/engine.ts";

test("every part of the self-test is within its bound on the CPU", () => {
  using device = openCpu();
  const results = selftest(device);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
  for (const part of ["forward", "gradients", "cache", "sampler", "optimizer", "kernel"]) {
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
