// Sizes of models as they are published, so that a run can be planned before anything is
// downloaded. What is trained reads the folder's own config.json (hf-config.ts).

import type { PolicyConfig } from "../../ffi/policy.ts";
import { rotary } from "./rope.ts";

/** Hidden, layers, heads, kv heads, head_dim, ffn, vocab; whether the LM head is the embedding. */
export type Sizes = readonly [number, number, number, number, number, number, number, boolean];
const PUBLISHED: Readonly<Record<string, Sizes>> = {
  "Qwen/Qwen2.5-0.5B": [896, 24, 14, 2, 64, 4864, 151936, true],
  "Qwen/Qwen2.5-1.5B": [1536, 28, 12, 2, 128, 8960, 151936, true],
  "Qwen/Qwen2.5-3B": [2048, 36, 16, 2, 128, 11008, 151936, true],
  "Qwen/Qwen2.5-7B": [3584, 28, 28, 4, 128, 18944, 152064, false],
  "Qwen/Qwen2.5-14B": [5120, 48, 40, 8, 128, 13824, 152064, false],
  "Qwen/Qwen3-0.6B": [1024, 28, 16, 8, 128, 3072, 151936, true],
  "Qwen/Qwen3-1.7B": [2048, 28, 16, 8, 128, 6144, 151936, true],
  "Qwen/Qwen3-4B": [2560, 36, 32, 8, 128, 9728, 151936, true],
  "Qwen/Qwen3-8B": [4096, 36, 32, 8, 128, 12288, 151936, false],
  "Qwen/Qwen3-14B": [5120, 40, 40, 8, 128, 17408, 151936, false],
};
const THETA = 1e6; // of all of them

export const PUBLISHED_MODELS = Object.keys(PUBLISHED);

/** Of a name on the hub, its instruct and base variants alike; undefined where it is not known. */
export function publishedConfig(model: string): PolicyConfig | undefined {
  const sizes = PUBLISHED[model.replace(/-(Instruct|Base)$/, "")];
  if (sizes === undefined) return undefined;
  return configOf(sizes, model.startsWith("Qwen/Qwen3") ? "qwen3" : "qwen2", THETA);
}

/** With the switches of a family: Qwen3 normalises the heads of q and k, Qwen2 has a bias there. */
export function configOf(sizes: Sizes, family: "qwen2" | "qwen3", theta: number): PolicyConfig {
  const [hidden, layers, heads, kvHeads, headDim, ffn, vocab, tied] = sizes;
  return {
    hidden,
    layers,
    heads,
    kvHeads,
    headDim,
    ffn,
    vocab,
    qkvBias: family === "qwen2",
    qkNorm: family === "qwen3",
    tied,
    rmsEps: 1e-6,
    ropeAttentionScale: 1,
    invFreq: rotary({ type: "default", theta }, headDim).invFreq,
  };
}
