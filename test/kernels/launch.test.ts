// The CUDA kernels' way from a file through the driver to a launch, on CPU tensors and an emulated driver: every launcher gives
// its kernel what it expects, chosen kernels are used by whole policies, and what does not fit is refused.

import { Glob } from "bun";
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import { chosenKernels, type KernelFile } from "../../ffi/kernels.ts";
import { openCpu } from "../helpers/engine.ts";
import { driver, whyNot } from "./emulated.ts";

const FILES: readonly KernelFile[] = ["rmsnorm", "sample"].map((name) => ({ name, read: () => Buffer.of(1) }));

const numKernels = [...new Glob("*.cu").scanSync({ cwd: join(import.meta.dir, "../../kernels") })].length;

describe("ICRL_CUDA_KERNELS", () => {
  test.each([undefined, "", "none"])("%p chooses nothing", (choice) => {
    expect(chosenKernels(choice, FILES)).toEqual([]);
  });
  test("all chooses all, names choose theirs", () => {
    expect(chosenKernels("all", FILES)).toEqual(FILES);
    expect(chosenKernels("sample", FILES)).toEqual(FILES.slice(1));
    expect(chosenKernels("sample, rmsnorm", FILES).map(({ name }) => name)).toEqual(["sample", "rmsnorm"]);
  });
  test("a name that is not there is refused with those that are", () => {
    const choose = (): unknown => chosenKernels("rmsnrom", FILES);
    expect(choose).toThrow(UserError);
    expect(choose).toThrow('names no kernel: "rmsnrom"');
  });
  test("without any compiled kernel a choice is refused", () => {
    expect(() => chosenKernels("all", [])).toThrow("has no CUDA kernels");
  });
});

test("a CPU device takes no CUDA kernel", () => {
  using device = openCpu();
  expect(() => device.loadKernel("rmsnorm", Buffer.of(1), { use: true })).toThrow("for a CUDA device");
});

describe.skipIf(whyNot !== "")(`with an emulated driver${whyNot}`, () => {
  let report: Report;
  beforeAll(async () => {
    const env = { ...process.env, ICRL_CUDA_DRIVER: await driver() };
    const run = Bun.spawn([process.execPath, join(import.meta.dir, "launch-all.ts")], { env, stderr: "pipe" });
    const [text, problem] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    if ((await run.exited) !== 0) throw new Error(problem);
    report = JSON.parse(text) as Report;
  }, 300_000);

  test("every launcher's kernel agrees with the reference, in fp32 and in bf16", () => {
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.checks.length).toBe(2 * numKernels);
  });
  test("a kernel that is loaded but not in use changes nothing", () => {
    expect(report.sameWhenLoaded).toBe(true);
  });
  test.each([
    ["f32", 0, 1e-5],
    ["f32 with attention in parts", 1, 1e-5],
    ["bf16", 2, 0.04],
  ] as const)("with every kernel in use a policy in %s computes the same to rounding, not to the bit", (_, n, bound) => {
    expect(report.changeWhenUsed[n]).toBeLessThan(bound);
    expect(report.changeWhenUsed[n]).toBeGreaterThan(0);
  });
  test("an unknown kernel, and a file that is no module, are refused", () => {
    expect(report.unknown).toContain("no CUDA kernel is called no-such-kernel");
    expect(report.invalid).toContain("loading the kernel rope by a driver for CUDA 12.8: device kernel image is invalid");
    expect(report.missing).toContain("the CUDA kernel rope is not loaded");
  });
});

interface Report {
  readonly checks: readonly { readonly name: string; readonly error: number; readonly ok: boolean }[];
  readonly sameWhenLoaded: boolean;
  readonly changeWhenUsed: readonly number[]; // of each policy, by norms: of logprobs, gradients, logits and draws
  readonly unknown: string;
  readonly invalid: string;
  readonly missing: string;
}
