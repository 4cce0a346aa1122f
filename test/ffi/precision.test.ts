// float32 on two threads against double on one, at head sizes and lengths that fill vectors and blocks: what the tiny
// policies of the other tests are too small to reach.

import { expect, test } from "bun:test";
import { KvCache } from "../../ffi/cache.ts";
import { setThreads } from "../../ffi/native.ts";
import { Policy, type PolicyConfig } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { rotary } from "../../src/model/rope.ts";
import { ADAMW, openCpu, openTiny, randomIds, relativeError } from "../helpers/engine.ts";
import { cacheBatch, Pages } from "../helpers/paging.ts";
import { flatten, type TrieNode } from "../helpers/tries.ts";

const VOCAB = 1024;

function shape(headDim: number, heads: number, kvHeads: number): Partial<PolicyConfig> {
  const { invFreq } = rotary({ type: "default", theta: 10_000 }, headDim);
  return {
    hidden: 128,
    ffn: 384,
    vocab: VOCAB,
    tied: true,
    qkvBias: false,
    heads,
    kvHeads,
    headDim,
    invFreq,
  };
}

const SHAPES: readonly [string, Partial<PolicyConfig>][] = [
  ["nano's heads of 32", shape(32, 4, 2)],
  ["heads of 64, one key head", shape(64, 3, 1)],
  ["heads of 128, a key head each", shape(128, 2, 2)],
];

/** 500 tokens: a prefix of 261, and branches of 97, 1 and 141. */
const FOREST: readonly TrieNode[] = [
  {
    tokens: randomIds(261, VOCAB, 1),
    children: [97, 1, 141].map((length, i) => ({
      tokens: randomIds(length, VOCAB, 2 + i),
      children: [],
    })),
  },
];

for (const [name, change] of SHAPES) {
  test(`${name}: logprobs and gradients of float32 on two threads are those of double`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32", change);
    using reference = Policy.open(device, policy.config, "f64");
    reference.copyFrom(policy);
    const expected = evaluate(reference, 1);
    const actual = evaluate(policy, 2);
    expect(relativeError(actual.logprobs_N, expected.logprobs_N)).toBeLessThan(1e-5);
    for (const { name: tensor } of policy.tensors()) {
      const error = relativeError(actual.gradients.get(tensor)!, expected.gradients.get(tensor)!);
      expect(error, tensor).toBeLessThan(1e-4);
    }
  });

  test(`${name}: a cache filled in pieces on two threads gives the logits of double`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32", change);
    using reference = Policy.open(device, policy.config, "f64");
    reference.copyFrom(policy);
    const expected = lastLogits(reference, 1, [300]);
    expect(relativeError(lastLogits(policy, 2, [300]), expected)).toBeLessThan(1e-5);
    expect(relativeError(lastLogits(policy, 2, [256, 1, 1, 33, 8, 1]), expected)).toBeLessThan(
      1e-5,
    );
  });
}

function evaluate(policy: Policy, threads: number) {
  setThreads(threads);
  using trainer = Trainer.open(policy, ADAMW);
  const { batch } = flatten(FOREST);
  const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
  trainer.backward(logprobs_N.map((_, n) => Math.cos(n)));
  const gradients = new Map(
    policy.tensors().map(({ name }) => [name, trainer.readTensorF64("gradient", name)]),
  );
  return { logprobs_N, gradients };
}

/** After 300 tokens that came in pieces of these sizes. */
function lastLogits(policy: Policy, threads: number, pieces: readonly number[]): Float32Array {
  setThreads(threads);
  using cache = KvCache.open(policy, { numPages: 10, pageTokens: 32 });
  const pages = new Pages(32, 10);
  const run = pages.newRun(0);
  const sequence = randomIds(300, VOCAB, 9);
  const logits = pieces.map((count) => {
    const tokens = sequence.slice(run.count, run.count + count);
    return cache.forward(cacheBatch(pages, [{ runs: [run], tokens, sample: [count - 1] }]))
      .logits_NV!;
  });
  return logits.at(-1)!;
}
