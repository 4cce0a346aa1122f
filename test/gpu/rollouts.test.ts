// Rollouts and training on CUDA: paged decoding against the trainer's logprobs and against the CPU's
// tokens, and a short run of nano.

import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { shapeOf } from "../../bench/shapes.ts";
import { measurePrecision, POLICIES } from "../../bench/precision.ts";
import { randomPrompts, sampleAll } from "../../bench/work.ts";
import { KvCache } from "../../ffi/cache.ts";
import { Device, type DeviceKind } from "../../ffi/device.ts";
import { Policy } from "../../ffi/policy.ts";
import { InProcessEngine } from "../../src/rollout/in-process.ts";
import { icrl } from "../helpers/cli.ts";
import { KIND, onDevice } from "./device.ts";

const BOUNDS = { f32: 1e-5, bf16: 0.002 } as const;
for (const dtype of ["f32", "bf16"] as const) {
  const bound = BOUNDS[dtype];
  onDevice(`trained nano in ${dtype}: sampler and trainer within ${bound} nat of each other`, async () => {
    const { gapMean, tokens } = await measurePrecision(KIND, dtype, POLICIES["trained nano"]!);
    expect(tokens).toBeGreaterThan(500);
    expect(gapMean).toBeLessThan(bound);
  });
}

/** Greedy, with shared prefixes, several pages a sequence. */
async function decoded(kind: DeviceKind, pageTokens: number): Promise<readonly (readonly number[])[]> {
  const shape = { prompts: 3, samples: 2, shared: 70, own: 21, sampled: 24 };
  using device = Device.open(kind);
  using policy = Policy.open(device, shapeOf("tiny-qwen2.5"), "f32");
  policy.randomize(3, 0.2);
  using cache = KvCache.open(policy, { numPages: 64, pageTokens });
  const engine = new InProcessEngine(policy, cache);
  const prompts = randomPrompts(shape, policy.config.vocab);
  const rollouts = await sampleAll(engine, prompts, shape, 1, 0);
  return rollouts.map(({ tokens_L }) => [...tokens_L]);
}

for (const pageTokens of [16, 256]) {
  onDevice(`pages of ${pageTokens} tokens: the most probable tokens are those of the CPU in f32`, async () => {
    expect(await decoded(KIND, pageTokens)).toEqual(await decoded("cpu", 16));
  });
}

onDevice("nano trains a step of each stage, and the run is whole", async () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-gpu-"));
  try {
    const small = [
      `policy.device=${KIND}`,
      ...[0, 1, 2].map((stage) => `stages.${stage}.steps=1`),
      "stages.2.gate.zero_shot_em=0",
      "rollout.prompts_per_step=2",
      "rollout.samples_per_prompt=2",
      "eval.limit=2",
      "eval.shots=[0]",
    ].flatMap((each) => ["--set", each]);
    const run = ["run", "stage1..3", "--run", join(folder, "run"), "--json", ...small];
    const { code, stdout, stderr } = await icrl(folder, ...run);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const rows = stdout.trim().split("\n").map((line) => JSON.parse(line) as { type: string });
    expect(rows.filter(({ type }) => type === "step")).toHaveLength(3);
    expect(rows.at(-1)?.type).toBe("summary");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
