// A program of launch.test.ts: runs with ICRL_CUDA_DRIVER naming the emulated driver and prints what it saw as JSON.

import { Glob } from "bun";
import { basename, join } from "node:path";
import { KvCache } from "../../ffi/cache.ts";
import { Device } from "../../ffi/device.ts";
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

/** What a tiny policy computes on a device: logprobs, a gradient through every layer, and and after a step logits and draws through the cache. */
function probe(device: Device, dtype: "f32" | "bf16"): number[] {
  using policy = openTiny(device, dtype);
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
  // In bf16 a rounding may change a draw.
  if (dtype === "bf16") return [...logprobs_N, ...gradients, ...logits_NV!];
  return [...logprobs_N, ...gradients, ...ids_N, ...drawn_N, ...entropies_N, ...logits_NV!];
}

using device = openCpu();
const missing = messageOf(() => device.checkKernel("cuda.rope"));
const invalid = messageOf(() => device.loadKernel("rope", Buffer.of(0), { use: false }));
const unknown = messageOf(() => device.loadKernel("no-such-kernel", Buffer.of(1), { use: false }));
using inParts = Device.open("cpu", 1); // computes as a CUDA device does: attention in parts
const probeAll = (): number[][] => [probe(device, "f32"), probe(inParts, "f32"), probe(inParts, "bf16")];
const before = probeAll();
const checks = checkOurs(device, files);
const loaded = probeAll();
for (const { name, read } of files) device.loadKernel(name, read(), { use: true });
const used = probeAll();
const norm = (values: readonly number[]): number => Math.hypot(...values);
const change = used.map((values, n) => norm(values.map((value, i) => value - before[n]![i]!)) / norm(values));
const report = {
  checks,
  sameWhenLoaded: JSON.stringify(loaded) === JSON.stringify(before),
  changeWhenUsed: change,
  unknown,
  invalid,
  missing,
};
console.log(JSON.stringify(report));
