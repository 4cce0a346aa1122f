// Whole steps of GRPO without any of the CPU's own kernels, as other devices compute them: tensor
// operations, attention in parts, a cache of slots, padded decode steps.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunFolder } from "../../src/run/directory.ts";
import type { StepMetrics } from "../../src/run/metrics.ts";
import { icrlIn } from "../helpers/cli.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(120_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "icrl-parts-"));
  writeFileSync(join(folder, "tiny.yaml"), tinyRecipe(writeTinyModel(folder)));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function stepsOf(name: string, env: Readonly<Record<string, string>>): Promise<StepMetrics[]> {
  const path = join(folder, name);
  const args = ["run", "stage1", "--recipe", join(folder, "tiny.yaml"), "--run", path];
  const { code, stderr } = await icrlIn({ cwd: folder, env }, args);
  expect(code, stderr).toBe(0);
  using reader = new RunFolder(path).openReader();
  return reader.steps();
}

test("steps without the CPU's kernels have its losses and gradients within fp32 rounding", async () => {
  const kernels = await stepsOf("kernels", {});
  const generic = await stepsOf("generic", { ICRL_ISA: "none", ICRL_CUDA_GRAPHS: "1" });
  expect(generic).toHaveLength(2);
  generic.forEach((step, i) => {
    expect(step.loss).toBeCloseTo(kernels[i]!.loss, 4);
    expect(step.gradNorm / kernels[i]!.gradNorm).toBeCloseTo(1, 3);
    expect(step.logprobDifference.max).toBeLessThan(1e-4);
  });
});
