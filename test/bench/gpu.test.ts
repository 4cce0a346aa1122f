import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeFloor } from "../../bench/gpu/floors.ts";
import { PARTS } from "../../bench/gpu/gpu.ts";
import { fillRandom } from "../../bench/gpu/policy.ts";
import { madeUpRollouts } from "../../bench/gpu/rollouts.ts";
import { shapeOf } from "../../bench/shapes.ts";
import { randomPrompts } from "../../bench/work.ts";
import { markdown, readRecords } from "../../bench/write-table.ts";
import { Policy } from "../../ffi/policy.ts";
import { Role } from "../../src/types.ts";
import { openCpu } from "../helpers/engine.ts";

const ROOT = join(import.meta.dir, "../..");

interface Ran {
  readonly status: number;
  readonly err: string;
  readonly figures: string;
}

/** bench/gpu.sh in the sources of this checkout. */
function box(...args: readonly string[]): Ran {
  const folder = mkdtempSync(join(tmpdir(), "icrl-box-"));
  try {
    const icrl = join(folder, "icrl");
    writeFileSync(icrl, `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/src/main.ts" "$@"\n`);
    chmodSync(icrl, 0o755);
    const out = join(folder, "out");
    const env = { ...process.env, ICRL: icrl, OMP_NUM_THREADS: "1", ICRL_BENCH_PYTHON: "no-python" };
    const run = Bun.spawnSync([join(ROOT, "bench/gpu.sh"), out, ...args], { env, stderr: "pipe" });
    const path = join(out, "figures.jsonl");
    const figures = existsSync(path) ? readFileSync(path, "utf8") : "";
    return { status: run.exitCode, err: run.stderr.toString(), figures };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("one call runs every part at tiny sizes on a CPU, and its record becomes a table", () => {
  const { status, figures } = box("--device", "cpu", "--tiny");
  const recorded = readRecords([figures]);
  expect(recorded.failed).toEqual([]);
  expect(status).toBe(0);
  const parts = new Set(recorded.figures.map(({ key }) => key.split(".")[1]!));
  const names = Object.keys(PARTS).map((name) => (name === "step" ? "step-kl" : name));
  expect(names.filter((name) => !parts.has(name))).toEqual([]);
  expect(recorded.figures.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
  expect(markdown(recorded)).toContain("| whole step |");
}, 240_000);

test("a part that fails is recorded with its reason, and the others run all the same", () => {
  const { status, err, figures } = box("--device", "cuda", "--tiny", "--only", "doctor,update,decode");
  expect(status).toBe(1);
  const failed = figures.split("\n").filter(Boolean).map((line) => JSON.parse(line) as object);
  expect(failed).toEqual(
    ["decode", "update"].map((part) => {
      return { type: "failed", part, why: expect.stringContaining("ended with 1") };
    }),
  );
  expect(err.match(/there is no CUDA device/g)).toHaveLength(2);
}, 60_000);

test("a floor is the larger of bytes and FLOPs of each kind of operation, not of their sums", () => {
  const config = { ...shapeOf("tiny-qwen2.5"), layers: 1, hidden: 2, heads: 1, kvHeads: 1, headDim: 2 };
  const tiny = { ...config, ffn: 3, vocab: 5 };
  const shape = { prompts: 2, samples: 3, shared: 10, own: 4, sampled: 1 };
  // Weights: 2 x (2 + 2 + 2 + 2) + 3 x 2 x 3 = 34 in the layer, 10 in the head; six rows.
  const [keys, cached] = [10 + 4 + 1, 10 + 2 * 4 + 6];
  const flops = [2 * 34 * 6, 2 * 10 * 6, 4 * 2 * keys * 6] as const;
  const bytes = [2 * 34, 2 * 10, 2 * (2 * 2 * cached)] as const;
  const rates = { flops: 50, bytes: 10 };
  expect(decodeFloor(tiny, shape, 2, rates)).toEqual({
    seconds: flops[0] / 50 + flops[1] / 50 + bytes[2] / 10,
    flops: flops[0] + flops[1] + flops[2],
    bytes: bytes[0] + bytes[1] + bytes[2],
  });
});

test("weights that are filled for a benchmark are normal, and differ between rows and tensors", () => {
  using device = openCpu();
  using policy = Policy.open(device, shapeOf("tiny-qwen2.5"), "f32");
  fillRandom(policy);
  const weights = policy.read("model.embed_tokens.weight");
  const mean = weights.reduce((sum, each) => sum + each, 0) / weights.length;
  const square = weights.reduce((sum, each) => sum + each * each, 0) / weights.length;
  expect(Math.abs(mean)).toBeLessThan(5 * (0.02 / Math.sqrt(weights.length)));
  expect(Math.sqrt(square)).toBeCloseTo(0.02, 3);
  const [first, second] = ["gate", "up"].map((name) => policy.read(`model.layers.0.mlp.${name}_proj.weight`));
  expect(first!.slice(0, 64)).not.toEqual(first!.slice(64, 128));
  expect(first!.slice(0, 64)).not.toEqual(second!.slice(0, 64));
  expect([...policy.read("model.norm.weight")]).toEqual(Array.from({ length: 64 }, () => 1));
});

test("a made-up step has the policy's tokens around an observation, in samples of equal length", () => {
  const shape = { prompts: 2, samples: 2, shared: 5, own: 3, sampled: 6, observation: 4 };
  const rollouts = madeUpRollouts(randomPrompts(shape, 100), shape, 100);
  expect(rollouts.map(({ groupId, sample }) => [groupId, sample])).toEqual([
    ["0", 0],
    ["0", 1],
    ["1", 0],
    ["1", 1],
  ]);
  const { prompt: p, policy: s, observation: o } = Role;
  for (const { roles_L, promptTokens } of rollouts) {
    expect([...roles_L]).toEqual([p, p, p, p, p, p, p, p, s, s, s, o, o, o, o, s, s, s]);
    expect(promptTokens).toBe(8);
  }
  expect(rollouts[0]!.tokens_L.slice(0, 8)).toEqual(rollouts[1]!.tokens_L.slice(0, 8));
  expect(rollouts[0]!.tokens_L.slice(8)).not.toEqual(rollouts[1]!.tokens_L.slice(8));
});
