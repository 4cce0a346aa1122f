// A random model folder for tests that go through the whole training path: a byte-level tokenizer,
// two layers, and half of its vocabulary as end tokens, so that some rollouts are empty and some
// are not. That alone makes rewards differ.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Device } from "../../ffi/device.ts";
import { Policy } from "../../ffi/policy.ts";
import { memoryFolder } from "../../src/model/byte-source.ts";
import { trainTokenizer } from "../../src/model/bpe.ts";
import { readConfig } from "../../src/model/model-folder.ts";
import { saveFolder } from "../../src/model/weights.ts";

const VOCABULARY = 288;
const TEXT =
  "<think> the search </think>\n<answer> the answer </answer>\nWho is the writer of the book?\n";

const config = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  intermediate_size: 48,
  hidden_act: "silu",
  vocab_size: VOCABULARY,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  attention_bias: false,
  tie_word_embeddings: true,
  eos_token_id: Array.from({ length: VOCABULARY / 2 }, (_, half) => 2 * half),
};

/** Writes `folder`/tiny and returns its path. */
export function writeTinyModel(folder: string, seed = 1): string {
  const path = join(folder, "tiny");
  mkdirSync(folder, { recursive: true });
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const source = memoryFolder("tiny", {
    "config.json": json(config),
    "tokenizer.json": json(trainTokenizer(TEXT, VOCABULARY)),
  });
  using device = Device.open("cpu");
  using policy = Policy.open(device, readConfig(source).policy, "f32");
  policy.randomize(seed, 0.05);
  saveFolder(policy, path, { dtype: "f32", copyFrom: source });
  return path;
}

/** A recipe of two stages for it; `change` is appended. */
export function tinyRecipe(model: string, change = ""): string {
  return `
extends: nano
name: tiny
policy: { model: "${model}", cache_tokens: 32768 }
rollout: { prompts_per_step: 3, samples_per_prompt: 4, max_new_tokens: 8, max_turn_tokens: 8, context: 4096 }
train: { learning_rate: 0.01 }
stages:
  - { shots: 1, steps: 2 }
  - { shots: 0, steps: 2 }
eval: { limit: 4, shots: [0, 1] }
${change}
`;
}
