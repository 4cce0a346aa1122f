import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Device } from "../../ffi/device.ts";
import { OutOfMemoryError } from "../../ffi/errors.ts";
import type { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { update, type UpdateOptions, type WeighedRollout } from "../../src/train/update.ts";
import { ADAMW, openTiny } from "../helpers/engine.ts";
import { sampleOf } from "../helpers/samples.ts";

const options: UpdateOptions = {
  temperature: 1,
  objective: { clipLow: 0.2, clipHigh: 0.2, kl: { kind: "k3", coefficient: 0 }, entropy: 0 },
  reduction: { kind: "token_mean" },
  recompute: "nothing",
  maxBatchTokens: 1000,
  learningRate: 1e-2,
  maxGradNorm: 1,
  gapGate: undefined,
};

let device: Device;
beforeAll(() => (device = Device.open("cpu")));
afterAll(() => device[Symbol.dispose]());

/** Four prompt tokens that all share, then `own` tokens of the policy. */
function rolloutOf(own: readonly number[]): Rollout {
  const tokens = [1, 2, 3, 4, ...own];
  const { rollout } = sampleOf({});
  return {
    ...rollout,
    tokens_L: Int32Array.from(tokens),
    roles_L: Uint8Array.from(tokens, (_, at) => (at < 4 ? Role.prompt : Role.policy)),
    samplerLogprobs_L: Float32Array.from(tokens, (_, at) => (at < 4 ? 0 : -3.5)),
    promptTokens: 4,
  };
}
const weighed: WeighedRollout[] = [
  { rollout: rolloutOf([5, 6, 7]), advantage: 1 },
  { rollout: rolloutOf([5, 8]), advantage: -1 },
  { rollout: rolloutOf([9, 10, 11, 12]), advantage: 0.5 },
];

/** An update of a fresh tiny policy: what it returned, and the embedding after it. */
function updated(change: Partial<UpdateOptions>, wrap: (trainer: Trainer) => Trainer = (t) => t) {
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, ADAMW);
  const policies = { trainer: wrap(trainer), reference: undefined };
  const result = update(policies, weighed, { ...options, ...change });
  return { result, weights: policy.read("model.embed_tokens.weight") };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
}

describe("micro-batches", () => {
  test("however small, they give the loss, the gradient and the step of one batch", () => {
    const whole = updated({});
    const split = updated({ maxBatchTokens: 8 });
    expect(whole.result.distinctTokens).toBe(4 + 2 + 3); // ends are no rows, 5 is shared
    expect(split.result.distinctTokens).toBeGreaterThan(9);
    expect(split.result.rowTokens).toBe(whole.result.rowTokens);
    expect(split.result.sums.loss).toBeCloseTo(whole.result.sums.loss, 6);
    expect(split.result.gradNorm / whole.result.gradNorm).toBeCloseTo(1, 5);
    expect(largestDifference(split.weights, whole.weights)).toBeLessThan(1e-5);
  });
});

describe("when memory runs out", () => {
  /** The real trainer, whose forward finds no memory for more than `rows` rows. */
  const limited = (rows: number) => (trainer: Trainer) =>
    new Proxy(trainer, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === "logprobs") {
          return (...args: Parameters<Trainer["logprobs"]>) => {
            const tooMany = args[0].tokens_T.length > rows;
            if (tooMany) throw new OutOfMemoryError("icrl_trainer_logprobs", "planted");
            return target.logprobs(...args);
          };
        }
        return typeof value === "function" ? value.bind(target) : value;
      },
    });

  test("the update starts again with halved micro-batches and steps the same", () => {
    const whole = updated({});
    const limitedUpdate = updated({ maxBatchTokens: 32 }, limited(8));
    expect(limitedUpdate.result.maxBatchTokens).toBe(8);
    expect(limitedUpdate.result.gradNorm / whole.result.gradNorm).toBeCloseTo(1, 5);
    expect(largestDifference(limitedUpdate.weights, whole.weights)).toBeLessThan(1e-5);
  });
  test("below the longest rollout it gives up with the engine's own error", () => {
    expect(() => updated({}, limited(2))).toThrow(OutOfMemoryError);
  });
});

describe("the gate on |sampler - trainer logprob|", () => {
  test("is measured over every trained token", () => {
    const { gap } = updated({}).result;
    expect(gap.count).toBe(3 + 2 + 4);
    expect(gap.max).toBeGreaterThanOrEqual(gap.sum / gap.count);
  });
  test("leaves policy, optimizer and gradients as they were when it is hit", () => {
    using policy = openTiny(device, "f32");
    using trainer = Trainer.open(policy, ADAMW);
    const before = policy.read("model.embed_tokens.weight");
    const gapGate = { mean: 1e-3, max: 1e-3 };
    const policies = { trainer, reference: undefined };
    expect(() => update(policies, weighed, { ...options, gapGate })).toThrow("disagree");
    expect(policy.read("model.embed_tokens.weight")).toEqual(before);
    expect(trainer.steps).toBe(0);
    const after = update(policies, weighed, options);
    expect(after.gradNorm).toBeCloseTo(updated({}).result.gradNorm, 6);
  });
});

describe("the KL term", () => {
  const kl = { ...options.objective, kl: { kind: "k3", coefficient: 1 } } as const;
  function klOf(reference: Policy): number {
    using policy = openTiny(device, "f32");
    using trainer = Trainer.open(policy, ADAMW);
    const result = update({ trainer, reference }, weighed, { ...options, objective: kl });
    return result.sums.kl;
  }
  test("is 0 to a reference of the same weights and above 0 to another", () => {
    using same = openTiny(device, "f32");
    using other = openTiny(device, "f32", {}, 2);
    expect(klOf(same)).toBeCloseTo(0, 9);
    expect(klOf(other)).toBeGreaterThan(0.01);
  });
});
