// A program of launch.test.ts: runs with ICRL_CUDA_DRIVER naming the emulated driver and prints what it saw as JSON.

import { Glob } from "bun";
import { basename, join } from "node:path";
import { KvCache } from "../../ffi/cache.ts";
import type { Device } from "../../ffi/device.ts";
import type { KernelFile } from "../../ffi/kernels.ts";
import { checkOurs } from "../../ffi/selftest.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { ADAMW, openCpu, openTiny, randomIds, rowsBatch } from "../helpers/engine.ts";

const names = [...new Glob("*.cu").scanSync({ cwd: join(import.meta.dir, "../../kernels") })];
const files: KernelFile[] = names.map((unit) => ({
  name: basename(unit, ".cu"),
  read: () => Buffer.of(1), // the emulated driver has its kernels compiled in
}));

function messageOf(call: () => unknown): string {
  try {
    call();
    return "no error";
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a tiny policy computes: logprobs, a gradient through every layer, and and after a step logits and draws through the cache. */
function probe(device: Device): number[] {
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, ADAMW);
  const { logprobs_N } = trainer.logprobs(rowsBatch([randomIds(7, 37, 1), randomIds(4, 37, 51)]), { temperature: 0.8 });
  trainer.backward(logprobs_N.map((_, i) => Math.cos(i)), logprobs_N.map((_, i) => Math.sin(i)));
  const gradients = policy.tensors().flatMap(({ name }) => [...trainer.readTensorF64("gradient", name)]);
  trainer.step({ learningRate: 0.01, maxGradNorm: 1 });
  using cache = KvCache.open(policy, { numPages: 1, pageTokens: 16 });
  const tokens = 5;
  const { ids_N, logprobs_N: drawn_N, entropies_N, logits_NV } = cache.forward({
    tokens_T: Int32Array.from(randomIds(tokens, 37, 2)),
    positions_T: Int32Array.from({ length: tokens }, (_, i) => i),
    slots_T: Int32Array.from({ length: tokens }, (_, i) => i),
    segments_S5: Int32Array.of(0, tokens, 0, 0, tokens),
    pages_P: Int32Array.of(0),
    rows_N: Int32Array.of(1, 4),
    streams_N3: Int32Array.of(0, 0, 0, 0, 1, 0),
    seed: 3,
    temperature: 1,
    wantLogits: true,
  });
  return [...logprobs_N, ...gradients, ...ids_N, ...drawn_N, ...entropies_N, ...logits_NV!];
}

using device = openCpu();
const missing = messageOf(() => device.checkKernel("cuda.rope"));
const invalid = messageOf(() => device.loadKernel("rope", Buffer.of(0), { use: false }));
const unknown = messageOf(() => device.loadKernel("no-such-kernel", Buffer.of(1), { use: false }));
const before = probe(device);
const checks = checkOurs(device, files);
const loaded = probe(device);
for (const { name, read } of files) device.loadKernel(name, read(), { use: true });
const used = probe(device);
const change = used.map((value, i) => Math.abs(value - before[i]!) / (1 + Math.abs(value)));
const report = {
  checks,
  sameWhenLoaded: loaded.every((value, i) => value === before[i]),
  changeWhenUsed: Math.max(...change),
  unknown,
  invalid,
  missing,
};
console.log(JSON.stringify(report));
