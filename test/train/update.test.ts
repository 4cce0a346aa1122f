import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Device } from "../../ffi/device.ts";
import { OutOfMemoryError } from "../../ffi/errors.ts";
import { counters, setMemoryLimit } from "../../ffi/native.ts";
import type { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { update, type UpdateOptions, type WeighedRollout } from "../../src/train/update.ts";
import { ADAMW, maxAbs, openCpu, openTiny, rowsBatch } from "../helpers/engine.ts";
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
beforeAll(() => (device = openCpu()));
afterAll(() => device[Symbol.dispose]());

/** Prompt tokens that all share, then `own` tokens of the policy. */
function rolloutOf(own: readonly number[], prompt = 4): Rollout {
  const tokens = [...Array.from({ length: prompt }, (_, i) => 1 + (i % 30)), ...own];
  const { rollout } = sampleOf({});
  return {
    ...rollout,
    tokens_L: Int32Array.from(tokens),
    roles_L: Uint8Array.from(tokens, (_, at) => (at < prompt ? Role.prompt : Role.policy)),
    samplerLogprobs_L: Float32Array.from(tokens, (_, at) => (at < prompt ? 0 : -3.5)),
    promptTokens: prompt,
  };
}
const ONE_ROW = rowsBatch([Array.from({ length: 44 }, (_, i) => i % 37)]);
const weighed: WeighedRollout[] = [
  { rollout: rolloutOf([5, 6, 7]), advantage: 1 },
  { rollout: rolloutOf([5, 8]), advantage: -1 },
  { rollout: rolloutOf([9, 10, 11, 12]), advantage: 0.5 },
];

/**
 * An update of a fresh tiny policy in double: what it returned, and the first moments after it,
 * which are the gradients but for a factor.
 */
function updated(
  change: Partial<UpdateOptions>,
  rollouts: readonly WeighedRollout[] = weighed,
  before: (policy: Policy) => void = () => {},
) {
  using policy = openTiny(device, "f64");
  using trainer = Trainer.open(policy, ADAMW);
  before(policy);
  const policies = { trainer, reference: undefined };
  using _limit = { [Symbol.dispose]: () => setMemoryLimit(0) };
  const result = update(policies, rollouts, { ...options, ...change });
  const moments = policy.tensors().map(({ name }) => trainer.readTensorF64("first_moment", name));
  return { result, moments };
}
type Updated = ReturnType<typeof updated>;

function expectSameStep(actual: Updated, expected: Updated): void {
  const { result } = expected;
  const scale = Math.max(...expected.moments.map(maxAbs));
  actual.moments.forEach((moments, t) => {
    const difference = moments.map((value, i) => value - expected.moments[t]![i]!);
    expect(maxAbs(difference) / scale).toBeLessThan(1e-10);
  });
  expect(actual.result.gradNorm / result.gradNorm).toBeCloseTo(1, 10);
  expect(actual.result.sums.loss).toBeCloseTo(result.sums.loss, 10);
  expect(actual.result.sums.numTokens).toBe(result.sums.numTokens);
  expect(actual.result.gap.count).toBe(result.gap.count);
  expect(actual.result.rowTokens).toBe(result.rowTokens);
}

describe("micro-batches", () => {
  test("however small, they give the loss, the gradient and the step of one batch", () => {
    const whole = updated({});
    const split = updated({ maxBatchTokens: 8 });
    expect(whole.result.distinctTokens).toBe(4 + 2 + 3); // ends are no rows, 5 is shared
    expect(split.result.distinctTokens).toBeGreaterThan(9);
    expectSameStep(split, whole);
  });
});

const PROMPT = 150;
/** Enough tokens for activations to be most of the memory. */
const long: WeighedRollout[] = Array.from({ length: 12 }, (_, r) => ({
  rollout: rolloutOf(
    Array.from({ length: 20 }, (_unused, i) => 5 + ((7 * i + 11 * r) % 30)),
    PROMPT,
  ),
  advantage: r % 2 === 0 ? 1 : -0.5,
}));
const whole = (): Updated => updated({}, long);
const WHOLE = 12 * 19 + PROMPT; // rows of its trie: nothing but the prompt is shared

describe("under a budget of memory", () => {
  /** An update with a share of what the whole trie needs; the engine enforces it. */
  const within = (share: number, recompute: UpdateOptions["recompute"]): Updated => {
    const { plannedBytes } = whole().result;
    const change: { recompute: typeof recompute; memoryBytes?: number } = { recompute };
    return updated(change, long, (policy) => {
      policy.logprobs(ONE_ROW); // what stays from the first use on
      const { cpuBytes } = counters();
      change.memoryBytes = Math.floor(cpuBytes + (plannedBytes - cpuBytes) * share);
      setMemoryLimit(change.memoryBytes);
    });
  };
  const CASES = [
    ["auto", 0.85, 1],
    ["auto", 0.5, 2],
    ["nothing", 0.85, 2],
    ["nothing", 0.65, 3],
    ["layers", 0.85, 1],
    ["layers", 0.5, 2],
  ] as const;
  for (const [recompute, share, batches] of CASES) {
    test(`${share} of what the whole needs, recompute ${recompute}: the same step`, () => {
      const actual = within(share, recompute);
      const { numBatches, plannedBytes, budget, timesOut } = actual.result;
      expect(timesOut).toBe(0);
      expect(numBatches).toBeGreaterThanOrEqual(batches);
      expect(plannedBytes).toBeLessThanOrEqual(budget.memoryBytes!);
      expectSameStep(actual, whole());
    });
  }
  test("layers are computed again before the trie is cut", () => {
    expect(within(0.85, "auto").result.distinctTokens).toBe(WHOLE);
    expect(within(0.85, "nothing").result.distinctTokens).toBeGreaterThan(WHOLE);
  });
  test("a rollout that fits in no micro-batch is refused with the bytes it needs", () => {
    expect(() => within(0.02, "nothing")).toThrow(
      /a rollout of 169 tokens takes [\d.]+ KiB and [\d.]+ KiB are left for it/,
    );
  });
});

describe("when memory runs out", () => {
  /** The engine finds no more than a share of what the update was planned with. */
  const limited = (share: number): Updated => {
    const { plannedBytes } = whole().result;
    return updated({ recompute: "auto" }, long, (policy) => {
      policy.logprobs(ONE_ROW);
      const { cpuBytes } = counters();
      setMemoryLimit(Math.floor(cpuBytes + (plannedBytes - cpuBytes) * share));
    });
  };

  for (const share of [0.95, 0.6, 0.4]) {
    test(`at ${share} of what was planned the update starts again and steps the same`, () => {
      const again = limited(share);
      expect(again.result.timesOut).toBeGreaterThan(0);
      expectSameStep(again, whole());
    });
  }
  test("where not even one rollout fits it gives up with the engine's own error", () => {
    expect(() => limited(0.01)).toThrow(OutOfMemoryError);
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
    expect(after.gradNorm).toBeCloseTo(updated({}).result.gradNorm, 4);
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
