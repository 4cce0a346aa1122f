// What the optimizer keeps between steps: moments in 8 bits, bf16 weights without fp32 ones beside them, state in the host's
// memory. Each against the same in fp32 on the device, and each survives a checkpoint to the bit.

import { describe, expect, test } from "bun:test";
import { InvalidArgumentError } from "../../ffi/errors.ts";
import type { Dtype, Policy } from "../../ffi/policy.ts";
import { Trainer, type TrainerConfig } from "../../ffi/trainer.ts";
import { openCpu, openTiny, randomIds, rowsBatch, uniform } from "../helpers/engine.ts";

const ADAMW: TrainerConfig = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.05, seed: 7 };
const HEAD = "lm_head.weight"; // [37, 20]
const BATCHES = [0, 1, 2, 3, 4, 5].map((seed) => rowsBatch([randomIds(9, 37, seed), randomIds(5, 37, seed + 50)]));

function oneStep(trainer: Trainer, step: number): void {
  const { logprobs_N } = trainer.logprobs(BATCHES[step % BATCHES.length]!, { temperature: 1 });
  trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / logprobs_N.length));
  trainer.step({ learningRate: 0.01, maxGradNorm: 1 });
}

/** Weights shrink by `share` of themselves and nothing else happens. */
function decay(trainer: Trainer, share: number): void {
  const { logprobs_N } = trainer.logprobs(BATCHES[0]!, { temperature: 1 });
  trainer.backward(new Float64Array(logprobs_N.length));
  trainer.step({ learningRate: share / trainer.config.weightDecay, maxGradNorm: 0 });
}

const mean = (values: Float32Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** A policy in bf16 whose head is `weight` everywhere, in 74,000 places, and its trainer. */
function openLevel(weight: number, config: Partial<TrainerConfig>, hidden: number) {
  const stack = new DisposableStack();
  const policy = stack.use(openTiny(stack.use(openCpu()), "bf16", { hidden, layers: 1 }));
  policy.write(HEAD, new Float32Array(policy.numel(HEAD)).fill(weight), "f32");
  const trainer = stack.use(Trainer.open(policy, { ...ADAMW, ...config }));
  return { policy, trainer, [Symbol.dispose]: () => stack.dispose() };
}

describe("bf16 weights without masters", () => {
  test("the mean of many roundings is the value, within four of its standard errors", () => {
    using level = openLevel(1, { masterWeights: false }, 2000);
    decay(level.trainer, 0.001);
    const rounded = level.policy.read(HEAD);
    const step = 2 ** -8; // of bf16 below 1
    expect(new Set(rounded)).toEqual(new Set([1, 1 - step]));
    const share = 0.001 / step; // that should have gone down
    const error = (step * Math.sqrt(share * (1 - share))) / Math.sqrt(rounded.length);
    expect(Math.abs(mean(rounded) - 0.999)).toBeLessThan(4 * error);
  });

  test("no two steps, tensors, seeds or neighbours share their noise", () => {
    const moved = (seed: number, steps: number, name = HEAD): Float32Array => {
      using level = openLevel(1, { masterWeights: false, seed }, 200);
      const { policy, trainer } = level;
      policy.write("model.embed_tokens.weight", new Float32Array(policy.numel(HEAD)).fill(1), "f32");
      trainer.steps = steps;
      decay(trainer, 2 ** -9); // half a step of bf16
      return policy.read(name).map((weight) => Math.sign(weight - (1 - 2 ** -9)));
    };
    const base = moved(1, 0);
    const others = [moved(2, 0), moved(1, 1), moved(1, 0, "model.embed_tokens.weight")];
    const shifted = Float32Array.from(base, (_, i) => base[(i + 1) % base.length]!);
    const bound = 4 / Math.sqrt(base.length);
    for (const other of [...others, shifted]) {
      expect(Math.abs(mean(other.map((sign, i) => sign * base[i]!)))).toBeLessThan(bound);
    }
    expect(moved(1, 0)).toEqual(base);
  });

  test("2,000 updates of 1/100 of a step move weights as far as in fp32, and to the nearest not at all", () => {
    const share = 2 ** -7 / 100 / 1.5; // of 1.5, where steps of bf16 are 2^-7
    using level = openLevel(1.5, { masterWeights: false }, 20);
    let nearest = 1.5;
    for (let i = 0; i < 2000; i++) {
      decay(level.trainer, share);
      nearest = toBf16(nearest * (1 - share));
    }
    expect(nearest).toBe(1.5);
    const weights = level.policy.read(HEAD);
    const expected = 1.5 * (1 - share) ** 2000; // 1.35
    // Each of the 2,000 roundings has a variance of at most 0.01 * 0.99 steps squared.
    const error = (2 ** -7 * Math.sqrt(2000 * 0.0099)) / Math.sqrt(weights.length);
    expect(Math.abs(mean(weights) - expected)).toBeLessThan(4 * error);
    expect(1.5 - expected).toBeGreaterThan(50 * error);
  }, 60_000);
});

/** The nearest number of 8 bits' mantissa. */
function toBf16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}

/** Magnitudes over `octaves`, a few zeros, and a stretch of nothing but zeros. */
function moments(count: number, octaves: number, isSigned: boolean): Float32Array {
  const random = uniform(octaves);
  return Float32Array.from({ length: count }, (_, i) => {
    const value = random() < 0.01 || (i > 300 && i < 600) ? 0 : 2 ** (-octaves * random() - 20);
    return isSigned && random() < 0.5 ? -value : value;
  });
}

describe("moments in 8 bits", () => {
  for (const octaves of [2, 6, 14, 30, 60]) {
    test(`values over ${octaves} octaves come back near, and what came back comes back the same`, () => {
      using device = openCpu();
      using policy = openTiny(device, "f32", { hidden: 50 }); // blocks end within a tensor
      using trainer = Trainer.open(policy, { ...ADAMW, stateBits: 8 });
      for (const which of ["first_moment", "second_moment"] as const) {
        const values = moments(policy.numel(HEAD), octaves, which === "first_moment");
        trainer.writeTensor(which, HEAD, values);
        const once = trainer.readTensor(which, HEAD);
        trainer.writeTensor(which, HEAD, once);
        expect(trainer.readTensor(which, HEAD)).toEqual(once);
        once.forEach((value, i) => checkCode(values, value, i, which === "first_moment"));
      }
    });
  }

  /** Half a rung of the ladder, or where the value lies below the ladder, its lowest rung. */
  function checkCode(values: Float32Array, decoded: number, i: number, isSigned: boolean): void {
    const value = values[i]!;
    const start = i - (i % 256);
    const largest = Math.max(...values.subarray(start, start + 256).map(Math.abs));
    const floor = largest * 2 ** (isSigned ? -12 : -31.75);
    if (value === 0) expect(decoded).toBe(0);
    else if (!isSigned) expect(decoded).toBeGreaterThan(0);
    const bound = Math.abs(value) > floor ? 0.05 * Math.abs(value) : floor;
    expect(Math.abs(decoded - value)).toBeLessThanOrEqual(bound * 1.001);
  }

  test("a second moment that moves by a thousandth a step follows its gradients", () => {
    // Gradients are zero, so that v(t) = 0.999^t v(0): to the nearest code it would never move.
    using device = openCpu();
    using policy = openTiny(device, "f32");
    using trainer = Trainer.open(policy, { ...ADAMW, beta2: 0.999, stateBits: 8 });
    const random = uniform(3);
    const start = Float32Array.from({ length: policy.numel(HEAD) }, () => 1e-6 * (0.1 + random()));
    trainer.writeTensor("second_moment", HEAD, start);
    for (let i = 0; i < 100; i++) decay(trainer, 0);
    const end = trainer.readTensor("second_moment", HEAD);
    const ratios = end.map((value, i) => value / start[i]!);
    expect(Math.abs(mean(ratios) / 0.999 ** 100 - 1)).toBeLessThan(0.02);
  }, 20_000);
});

const KINDS: readonly (readonly [string, Dtype, Partial<TrainerConfig>])[] = [
  ["f32", "f32", {}],
  ["f32, moments in 8 bits", "f32", { stateBits: 8 }],
  ["bf16 with masters", "bf16", {}],
  ["bf16 with masters, moments in 8 bits", "bf16", { stateBits: 8 }],
  ["bf16 alone", "bf16", { masterWeights: false }],
  ["bf16 alone, moments in 8 bits", "bf16", { stateBits: 8, masterWeights: false }],
];
const WHICH = ["first_moment", "second_moment", "master"] as const;

function expectSame(a: Trainer, b: Trainer): void {
  for (const { name } of a.policy.tensors()) {
    for (const which of WHICH) expect(a.readTensor(which, name), name).toEqual(b.readTensor(which, name));
    expect(a.policy.read(name), name).toEqual(b.policy.read(name));
  }
}

test.each([32, 8] as const)("a tensor of more than one piece in the host's memory, %d bits: the same steps to the bit", (stateBits) => {
  using device = openCpu();
  const open = (): Policy => openTiny(device, "f32", { layers: 1, vocab: 220_000 });
  using policy = open();
  using twin = open();
  using trainer = Trainer.open(policy, { ...ADAMW, stateBits });
  using offloaded = Trainer.open(twin, { ...ADAMW, stateBits, offload: true });
  expect(policy.numel(HEAD)).toBeGreaterThan(2 ** 22);
  for (let step = 0; step < 2; step++) [trainer, offloaded].forEach((each) => oneStep(each, step));
  for (const which of WHICH) {
    const [here, there] = [trainer, offloaded].map((each) => Buffer.from(each.readTensor(which, HEAD).buffer));
    expect(here!.equals(there!), which).toBe(true);
  }
}, 20_000);

describe.each(KINDS)("%s", (_, dtype, change) => {
  const open = (policy: Policy, more: Partial<TrainerConfig> = {}): Trainer =>
    Trainer.open(policy, { ...ADAMW, ...change, ...more });

  test("state in the host's memory gives the same steps to the bit", () => {
    using device = openCpu();
    using policy = openTiny(device, dtype);
    using twin = openTiny(device, dtype);
    using trainer = open(policy);
    using offloaded = open(twin, { offload: true });
    for (let step = 0; step < 5; step++) [trainer, offloaded].forEach((each) => oneStep(each, step));
    expectSame(trainer, offloaded);
  });

  test("what was read and written into another trainer goes on to the bit", () => {
    using device = openCpu();
    using policy = openTiny(device, dtype);
    using trainer = open(policy);
    for (let step = 0; step < 3; step++) oneStep(trainer, step);
    using twin = openTiny(device, dtype, {}, 99);
    twin.copyFrom(policy);
    using resumed = open(twin);
    for (const { name } of policy.tensors()) {
      for (const which of WHICH) resumed.writeTensor(which, name, trainer.readTensor(which, name));
    }
    resumed.steps = trainer.steps;
    for (let step = 3; step < 7; step++) [trainer, resumed].forEach((each) => oneStep(each, step));
    expectSame(trainer, resumed);
  });
});

test.each([
  ["f64", { stateBits: 8 }, "double"],
  ["f32", { masterWeights: false }, "its own master"],
  ["f32", { stateBits: 8, muonMomentum: 0.9 }, "Muon"],
  ["f32", { stateBits: 16 as never }, "neither 32 nor 8"],
] as const)("%s with %o is refused", (dtype, change, why) => {
  using device = openCpu();
  using policy = openTiny(device, dtype);
  expect(() => Trainer.open(policy, { ...ADAMW, ...change })).toThrow(InvalidArgumentError);
  expect(() => Trainer.open(policy, { ...ADAMW, ...change })).toThrow(why);
});
