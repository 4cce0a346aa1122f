// The engine against transformers, family by family: logits, logprobs, entropies and every
// gradient, in double and in float32. The values are those of test/golden/models.py.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KvCache } from "../../ffi/cache.ts";
import type { Dtype } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { memorySource } from "../../src/model/byte-source.ts";
import { readHeader, readTensor } from "../../src/model/safetensors.ts";
import { rowBatch } from "../../src/model/score.ts";
import { loadPolicy } from "../../src/model/weights.ts";
import { ADAMW, openCpu, relativeError } from "../helpers/engine.ts";
import {
  digest,
  type Golden,
  GOLDEN_MODELS,
  type GoldenModel,
  goldenPath,
  readGolden,
} from "../helpers/folders.ts";
import { cacheBatch, Pages } from "../helpers/paging.ts";

const BOUNDS: readonly [Dtype, number][] = [
  ["f64", 1e-12],
  ["f32", 1e-4],
];

for (const name of GOLDEN_MODELS) {
  for (const [dtype, bound] of BOUNDS) {
    test(`${name} in ${dtype}: logprobs, entropies and gradients within ${bound}`, () => {
      const golden = readGolden(name);
      using device = openCpu();
      using policy = loadPolicy(device, goldenPath(name), dtype);
      const batch = rowBatch(golden.ids);
      const { logprobs_N, entropies_N } = policy.logprobs(batch);
      expect(relativeError(logprobs_N, golden.logprobs.slice(1) as number[])).toBeLessThan(bound);
      expect(relativeError(entropies_N, golden.entropies.slice(0, -1))).toBeLessThan(bound);

      using trainer = Trainer.open(policy, ADAMW);
      const kept = trainer.logprobs(batch, { temperature: 1 });
      expect(relativeError(kept.logprobs_N, logprobs_N)).toBeLessThan(bound / 100);
      trainer.backward(new Float64Array(logprobs_N.length).fill(-1 / logprobs_N.length));
      checkGradients(name, golden, trainer, bound);
    });
  }

  test(`${name}: logits of the cached forward within 1e-4 in f32 and 1e-6 in f64`, () => {
    const golden = readGolden(name);
    using device = openCpu();
    for (const [dtype, bound] of [
      ["f32", 1e-4],
      ["f64", 1e-6],
    ] as const) {
      using policy = loadPolicy(device, goldenPath(name), dtype);
      using cache = KvCache.open(policy, { numPages: 4, pageTokens: 16 });
      const pages = new Pages(16, 4);
      const part = { runs: [pages.newRun(0)], tokens: golden.ids, sample: golden.rows };
      const { logits_NV } = cache.forward(cacheBatch(pages, [part]));
      expect(relativeError(logits_NV!, golden.logits.flat())).toBeLessThan(bound);
    }
  });
}

/**
 * In double the digests, to the bound; in either dtype the full gradients, which are committed in
 * float32.
 */
function checkGradients(name: GoldenModel, golden: Golden, trainer: Trainer, bound: number): void {
  const full = readGradients(name);
  for (const [tensor, expected] of Object.entries(golden.grads)) {
    const gradient = trainer.readTensorF64("gradient", tensor);
    const actual = digest(gradient);
    const scale = expected.norm * Math.sqrt(gradient.length);
    expect(Math.abs(actual.norm / expected.norm - 1), tensor).toBeLessThan(bound);
    expect(Math.abs(actual.sum - expected.sum) / scale, tensor).toBeLessThan(bound);
    expect(Math.abs(actual.dot - expected.dot) / scale, tensor).toBeLessThan(bound);
    expect(relativeError(gradient, full.get(tensor)!), tensor).toBeLessThan(Math.max(bound, 1e-6));
  }
}

function readGradients(name: GoldenModel): ReadonlyMap<string, Float32Array> {
  const file = join(goldenPath(name), "golden.grads.safetensors");
  const source = memorySource(file, readFileSync(file));
  return new Map(
    readHeader(source).tensors.map((entry) => [
      entry.name,
      new Float32Array(readTensor(source, entry).buffer),
    ]),
  );
}
