// The optimizer against torch.optim.AdamW over 20 clipped steps (golden/adamw.py), and its state in
// and out.

import { expect, test } from "bun:test";
import type { Dtype, Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { loadPolicy } from "../../src/model/weights.ts";
import golden from "../golden/adamw.json" with { type: "json" };
import { openCpu, openTiny, randomIds, relativeError, rowsBatch } from "../helpers/engine.ts";
import { digest, goldenPath } from "../helpers/folders.ts";
import { goldenSteps, near } from "../helpers/golden-steps.ts";

const BOUNDS: readonly [Dtype, number][] = [
  ["f64", 1e-12],
  ["f32", 1e-4],
];

for (const [dtype, bound] of BOUNDS) {
  test(`20 clipped steps in ${dtype} end where torch.optim.AdamW ends, within ${bound}`, () => {
    using device = openCpu();
    using policy = loadPolicy(device, goldenPath("qwen3-tied"), dtype);
    using trainer = Trainer.open(policy, golden.settings);
    const { losses, norms } = goldenSteps(trainer, golden);
    expect(trainer.steps).toBe(20);
    expect(relativeError(losses, golden.losses)).toBeLessThan(bound);
    expect(relativeError(norms, golden.gradNorms)).toBeLessThan(bound);
    for (const [name, expected] of Object.entries(golden.weights)) {
      near(digest(policy.readF64(name)), expected, bound, name);
      near(
        digest(trainer.readTensorF64("first_moment", name)),
        golden.firstMoments[name as never],
        bound,
        name,
      );
      near(
        digest(trainer.readTensorF64("second_moment", name)),
        golden.secondMoments[name as never],
        bound,
        name,
      );
    }
  });
}

const SETTINGS = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.05 };
const BATCHES = [0, 1, 2, 3].map((seed) =>
  rowsBatch([randomIds(9, 37, seed), randomIds(5, 37, seed + 50)]),
);

function oneStep(trainer: Trainer, step: number, learningRate = 0.01): void {
  const { logprobs_N } = trainer.logprobs(BATCHES[step]!, { temperature: 1 });
  trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / logprobs_N.length));
  trainer.step({ learningRate, maxGradNorm: 1 });
}

function copyState(from: Trainer, to: Trainer, policy: Policy): void {
  for (const which of ["first_moment", "second_moment", "master"] as const) {
    for (const { name } of policy.tensors())
      to.writeTensor(which, name, from.readTensor(which, name));
  }
  to.steps = from.steps;
}

test("optimizer state written into another trainer makes its next step identical", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, SETTINGS);
  for (const step of [0, 1, 2]) oneStep(trainer, step);
  using twin = openTiny(device, "f32", {}, 99);
  twin.copyFrom(policy);
  using twinTrainer = Trainer.open(twin, SETTINGS);
  copyState(trainer, twinTrainer, policy);
  oneStep(trainer, 3);
  oneStep(twinTrainer, 3);
  expect(twinTrainer.steps).toBe(4);
  for (const { name } of policy.tensors()) {
    expect(twinTrainer.readTensor("master", name)).toEqual(trainer.readTensor("master", name));
    expect(twin.read(name)).toEqual(policy.read(name));
  }
});

test("weight decay leaves vectors alone where it is asked to", () => {
  using device = openCpu();
  const after = [true, false].map((decayMatricesOnly) => {
    using policy = openTiny(device, "f64");
    using trainer = Trainer.open(policy, { ...SETTINGS, weightDecay: 0.5, decayMatricesOnly });
    oneStep(trainer, 0);
    return ["model.norm.weight", "lm_head.weight"].map((name) => policy.readF64(name));
  });
  expect(after[0]![1]).toEqual(after[1]![1]!); // matrices decay in both
  // A norm's weight w becomes w (1 - rate * decay) - update in one and w - update in the other:
  // rate * decay = 0.005.
  const ratio = after[0]![0]!.map((value, i) => value - after[1]![0]![i]!);
  using policy = openTiny(device, "f64");
  const start = policy.readF64("model.norm.weight");
  expect(
    relativeError(
      ratio,
      start.map((value) => value * 0.005),
    ),
  ).toBeLessThan(1e-9);
});

test("gradients that are not finite change nothing and are an error", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, SETTINGS);
  const before = policy.read("lm_head.weight");
  const { logprobs_N } = trainer.logprobs(BATCHES[0]!, { temperature: 1 });
  trainer.backward(new Float64Array(logprobs_N.length).fill(Number.POSITIVE_INFINITY));
  expect(() => trainer.step({ learningRate: 1, maxGradNorm: 1 })).toThrow(/finite/);
  expect(policy.read("lm_head.weight")).toEqual(before);
  expect(trainer.steps).toBe(0);
});

test("gradients of several batches add up, and zero drops them", () => {
  using device = openCpu();
  using policy = openTiny(device, "f64");
  using trainer = Trainer.open(policy, SETTINGS);
  const gradient = (batches: readonly number[]): Float64Array => {
    trainer.zero();
    for (const index of batches) {
      const { logprobs_N } = trainer.logprobs(BATCHES[index]!, { temperature: 1 });
      trainer.backward(logprobs_N.map((_, n) => Math.cos(n)));
    }
    return trainer.readTensorF64("gradient", "model.embed_tokens.weight");
  };
  const [first, second, both] = [gradient([0]), gradient([1]), gradient([0, 1])];
  expect(
    relativeError(
      both,
      first.map((value, i) => value + second[i]!),
    ),
  ).toBeLessThan(1e-14);
  trainer.zero();
  expect(Math.max(...trainer.readTensorF64("gradient", "lm_head.weight").map(Math.abs))).toBe(0);
});
