// Handles: who opens closes, closing twice is safe, use after close throws, calls out of order are
// refused, and the live objects and bytes return to where they were.

import { expect, test } from "bun:test";
import { KvCache } from "../../ffi/cache.ts";
import { EngineError, InvalidArgumentError } from "../../ffi/errors.ts";
import { counters } from "../../ffi/native.ts";
import { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { ADAMW, openCpu, openTiny, randomIds, rowsBatch, tinyConfig } from "../helpers/engine.ts";
import { cacheBatch, Pages } from "../helpers/paging.ts";

const BATCH = rowsBatch([randomIds(8, 37, 1)]);

test("live objects and bytes return to their start after everything was used and closed", () => {
  const start = counters();
  {
    using device = openCpu();
    using policy = openTiny(device, "f32");
    using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
    using trainer = Trainer.open(policy, ADAMW);
    const pages = new Pages(16, 4);
    cache.forward(cacheBatch(pages, [{ runs: [pages.newRun(0)], tokens: [1, 2, 3], sample: [2] }]));
    const { logprobs_N } = trainer.logprobs(BATCH, { temperature: 1 });
    trainer.backward(logprobs_N);
    trainer.step({ learningRate: 0.01, maxGradNorm: 1 });
    trainer.logprobs(BATCH, { temperature: 1 }); // activations still kept when it closes
    const live = counters();
    expect([live.devices, live.policies, live.caches, live.trainers]).toEqual(
      [start.devices, start.policies, start.caches, start.trainers].map((count) => count + 1),
    );
    expect(live.cpuBytes).toBeGreaterThan(start.cpuBytes);
    expect(live.cpuPeakBytes).toBeGreaterThanOrEqual(live.cpuBytes);
  }
  const end = counters();
  expect([end.devices, end.policies, end.caches, end.trainers, end.cpuBytes]).toEqual([
    start.devices,
    start.policies,
    start.caches,
    start.trainers,
    start.cpuBytes,
  ]);
});

test("closing twice is safe, and using after close throws and says what", () => {
  const device = openCpu();
  const policy = openTiny(device, "f32");
  const cache = KvCache.open(policy, { numPages: 1, pageTokens: 16 });
  const trainer = Trainer.open(policy, ADAMW);
  for (const handle of [trainer, cache, policy, device]) {
    handle[Symbol.dispose]();
    handle[Symbol.dispose]();
  }
  const uses: readonly (() => unknown)[] = [
    () => trainer.logprobs(BATCH, { temperature: 1 }),
    () => trainer.zero(),
    () => cache.reset(),
    () => policy.logprobs(BATCH),
    () => policy.read("model.norm.weight"),
    () => policy.version,
    () => device.describe(),
    () => Policy.open(device, tinyConfig(), "f32"),
    () => KvCache.open(policy, { numPages: 1, pageTokens: 16 }),
    () => Trainer.open(policy, ADAMW),
  ];
  for (const use of uses) expect(use).toThrow(/closed/);
});

test("calls out of order are refused: logprobs, then backward, then step", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, ADAMW);
  const d = new Float64Array(7);
  expect(() => trainer.backward(d)).toThrow(InvalidArgumentError);
  expect(() => trainer.step({ learningRate: 1, maxGradNorm: 1 })).toThrow(InvalidArgumentError);
  trainer.logprobs(BATCH, { temperature: 1 });
  expect(() => trainer.step({ learningRate: 1, maxGradNorm: 1 })).toThrow(InvalidArgumentError);
  expect(() => trainer.backward(new Float64Array(6))).toThrow(InvalidArgumentError);
  trainer.backward(d);
  expect(() => trainer.backward(d)).toThrow(InvalidArgumentError);
  trainer.step({ learningRate: 1, maxGradNorm: 1 });
  expect(() => trainer.step({ learningRate: 1, maxGradNorm: 1 })).toThrow(InvalidArgumentError);
});

test("errors carry the name of the call and what was wrong", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  const one = new Float32Array(1);
  const error = caught(() => policy.write("model.layers.9.nothing", one, "f32"));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error).toBeInstanceOf(EngineError);
  expect(error.message).toContain("icrl_policy_tensor_write");
  expect(error.message).toContain("model.layers.9.nothing");
  expect(() => policy.write("model.norm.weight", new Float32Array(3), "f32")).toThrow(
    /20 elements, not 3/,
  );
  expect(() => Policy.open(device, tinyConfig({ kvHeads: 3 }), "f32")).toThrow(
    InvalidArgumentError,
  );
  expect(() => Policy.open(device, tinyConfig({ hidden: 0 }), "f32")).toThrow(InvalidArgumentError);
});

function caught(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("did not throw");
}

test("weights go in and out unchanged, and each write starts a new version", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  const name = "model.layers.1.self_attn.q_proj.weight";
  const data = Float32Array.from({ length: 24 * 20 }, (_, i) => Math.sin(i));
  const version = policy.version;
  policy.write(name, data, "f32");
  expect(policy.read(name)).toEqual(data);
  expect(policy.version).toBe(version + 1);
  using copy = openTiny(device, "f32", {}, 2);
  copy.copyFrom(policy);
  for (const tensor of policy.tensors())
    expect(copy.read(tensor.name)).toEqual(policy.read(tensor.name));
});

test("bf16 bits survive a round trip through an f32 policy", () => {
  using device = openCpu();
  using policy = openTiny(device, "f32");
  const bits = Uint16Array.from({ length: 20 }, (_, i) => 0x3f80 + 37 * i);
  policy.write("model.norm.weight", bits, "bf16");
  const out = new Uint16Array(20);
  policy.readInto("model.norm.weight", out, "bf16");
  expect(out).toEqual(bits);
});

test("randomize depends on the seed alone, with ones for norms and zeros for biases", () => {
  using device = openCpu();
  using a = Policy.open(device, tinyConfig(), "f32");
  using b = Policy.open(device, tinyConfig(), "f32");
  a.randomize(5, 0.02);
  b.randomize(5, 0.02);
  for (const { name } of a.tensors()) expect(b.read(name)).toEqual(a.read(name));
  expect(new Set(a.read("model.norm.weight"))).toEqual(new Set([1]));
  expect(new Set(a.read("model.layers.0.self_attn.q_proj.bias"))).toEqual(new Set([0]));
  const embedding = a.read("model.embed_tokens.weight");
  const deviation = Math.sqrt(
    embedding.reduce((sum, value) => sum + value * value, 0) / embedding.length,
  );
  expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(0.1); // 740 values: 4 standard errors
  b.randomize(6, 0.02);
  expect(b.read("model.embed_tokens.weight")).not.toEqual(embedding);
});
