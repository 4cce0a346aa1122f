// Adapters trained for 20 clipped steps against PEFT with torch.optim.AdamW (golden/lora.py).

import { expect, test } from "bun:test";
import { LORA_TARGETS } from "../../ffi/lora.ts";
import type { Dtype } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { loadPolicy } from "../../src/model/weights.ts";
import golden from "../golden/lora.json" with { type: "json" };
import { openCpu, relativeError } from "../helpers/engine.ts";
import { digest, goldenPath } from "../helpers/folders.ts";
import { goldenSteps, near } from "../helpers/golden-steps.ts";

const lora = { ...golden.lora, targets: LORA_TARGETS };
const BOUNDS: readonly [Dtype, number][] = [
  ["f64", 1e-12],
  ["f32", 1e-4],
];

/** The formula of golden/lora.py. */
function writeStart(trainer: Trainer): void {
  const sorted = trainer.tensors().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const [t, { name, shape }] of sorted.entries()) {
    const wave = (k: number): number =>
      name.includes("lora_A") ? 0.2 * Math.sin(k + t) : 0.1 * Math.cos(k + t);
    const data = Float64Array.from({ length: shape[0]! * shape[1]! }, (_, i) => wave(i + 1));
    trainer.writeTensor("master", name, data);
  }
}

for (const [dtype, bound] of BOUNDS) {
  test(`20 clipped steps in ${dtype} end where PEFT ends, within ${bound}`, () => {
    using device = openCpu();
    using base = loadPolicy(device, goldenPath("qwen3-tied"), dtype);
    using policy = loadPolicy(device, goldenPath("qwen3-tied"), dtype);
    using trainer = Trainer.open(policy, { ...golden.settings, lora }, base);
    writeStart(trainer);
    const { losses, norms } = goldenSteps(trainer, golden);
    expect(relativeError(losses, golden.losses)).toBeLessThan(bound);
    expect(relativeError(norms, golden.gradNorms)).toBeLessThan(bound);
    expect(Object.keys(golden.adapters).toSorted()).toEqual(
      trainer.tensors().map(({ name }) => name).toSorted(),
    );
    const expected = {
      master: golden.adapters,
      first_moment: golden.firstMoments,
      second_moment: golden.secondMoments,
    } as const;
    for (const [which, digests] of Object.entries(expected)) {
      for (const [name, each] of Object.entries(digests)) {
        near(digest(trainer.readTensorF64(which as keyof typeof expected, name)), each, bound, name);
      }
    }
    for (const [name, each] of Object.entries(golden.merged))
      near(digest(policy.readF64(name)), each, bound, name);
  });
}
