// config.json of released models -> the engine's config, and every unsupported setting refused in
// one line.

import { expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import { parseGenerationEosIds, parseModelConfig } from "../../src/model/hf-config.ts";

const QWEN25_3B = {
  architectures: ["Qwen2ForCausalLM"],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_act: "silu",
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 32768,
  max_window_layers: 70,
  model_type: "qwen2",
  num_attention_heads: 16,
  num_hidden_layers: 36,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151936,
};
const QWEN3_8B = {
  architectures: ["Qwen3ForCausalLM"],
  attention_bias: false,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 12288,
  max_position_embeddings: 40960,
  model_type: "qwen3",
  num_attention_heads: 32,
  num_hidden_layers: 36,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  sliding_window: null,
  tie_word_embeddings: false,
  use_sliding_window: false,
  vocab_size: 151936,
};
const LLAMA32_1B = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  vocab_size: 128256,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
};

function parse(config: Record<string, unknown>) {
  return parseModelConfig(JSON.stringify(config), "m/config.json");
}

test("Qwen2.5 has biases on q, k, v and takes its head size from the width", () => {
  const { family, policy, eosIds, maxPositions } = parse(QWEN25_3B);
  expect({ family, eosIds, maxPositions }).toEqual({
    family: "qwen2",
    eosIds: [151645],
    maxPositions: 32768,
  });
  expect(policy).toMatchObject({
    hidden: 2048,
    layers: 36,
    heads: 16,
    kvHeads: 2,
    headDim: 128,
    ffn: 11008,
    vocab: 151936,
  });
  expect(policy).toMatchObject({
    qkvBias: true,
    qkNorm: false,
    tied: true,
    rmsEps: 1e-6,
    ropeAttentionScale: 1,
  });
});

test("Qwen3 normalises q and k and states its head size", () => {
  const { policy } = parse(QWEN3_8B);
  expect(policy).toMatchObject({
    headDim: 128,
    kvHeads: 8,
    qkvBias: false,
    qkNorm: true,
    tied: false,
  });
});

test("Llama 3.2 has neither, several end ids, and long waves stretched by the factor", () => {
  const { policy, eosIds } = parse(LLAMA32_1B);
  expect(policy).toMatchObject({
    headDim: 64,
    qkvBias: false,
    qkNorm: false,
    tied: true,
    rmsEps: 1e-5,
  });
  expect(eosIds).toEqual([128001, 128008, 128009]);
  expect(policy.invFreq[31]! * 32).toBeCloseTo(500000 ** (-62 / 64), 12);
});

test("absent end ids are none, and generation_config.json may list several", () => {
  expect(parse({ ...QWEN3_8B, eos_token_id: null }).eosIds).toEqual([]);
  expect(parseGenerationEosIds(`{"eos_token_id":[3,4]}`, "g")).toEqual([3, 4]);
});

test("sliding windows that no layer reaches, or that are switched off, are fine", () => {
  expect(() => parse({ ...QWEN25_3B, use_sliding_window: true })).not.toThrow();
  expect(() => parse({ ...QWEN3_8B, layer_types: Array(36).fill("full_attention") })).not.toThrow();
});

const REFUSED: readonly [string, Record<string, unknown>, RegExp][] = [
  ["another architecture", { model_type: "gpt2" }, /model_type "gpt2" is not supported/],
  [
    "a head that is no language model",
    { architectures: ["Qwen3ForSequenceClassification"] },
    /architectures .* is not supported/,
  ],
  ["another activation", { hidden_act: "gelu" }, /hidden_act "gelu" is not supported/],
  [
    "biases that reach the output projection",
    { attention_bias: true },
    /attention_bias true is not supported/,
  ],
  ["biases in the MLP", { mlp_bias: true }, /mlp_bias true is not supported/],
  [
    "quantised weights",
    { quantization_config: { bits: 4 } },
    /quantization_config is not supported/,
  ],
  [
    "a sliding window in use",
    { use_sliding_window: true, sliding_window: 64, max_window_layers: 2 },
    /use_sliding_window asks for sliding/,
  ],
  [
    "layers of another kind",
    { layer_types: ["full_attention", "sliding_attention"] },
    /layer_types asks for sliding/,
  ],
  [
    "key heads that do not divide the heads",
    { num_key_value_heads: 5 },
    /num_key_value_heads is 5, which does not divide/,
  ],
  ["an odd head size", { head_dim: 63 }, /head_dim must be even, not 63/],
  ["a negative size", { hidden_size: -4 }, /hidden_size must be a whole number from 1/],
  [
    "an enormous number of layers",
    { num_hidden_layers: 1e9 },
    /num_hidden_layers must be a whole number from 1 to 4096/,
  ],
  ["a size that is text", { vocab_size: "many" }, /vocab_size must be a finite number, not "many"/],
  ["a missing size", { intermediate_size: undefined }, /intermediate_size is missing/],
  [
    "end ids that are not ids",
    { eos_token_id: [1, "x"] },
    /eos_token_id must be a token id or a list/,
  ],
];
for (const [name, change, message] of REFUSED) {
  test(`${name}: refused in one line with file and key`, () => {
    let caught: unknown;
    try {
      parse({ ...QWEN3_8B, ...change });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).message).toMatch(message);
    expect((caught as UserError).describe()).toContain("m/config.json");
    expect((caught as UserError).describe()).not.toContain("\n");
  });
}

test("a file that is not JSON, or not an object, is refused", () => {
  expect(() => parseModelConfig("{", "c")).toThrow(/not valid JSON/);
  expect(() => parseModelConfig("[]", "c")).toThrow(/must hold a JSON object/);
});
