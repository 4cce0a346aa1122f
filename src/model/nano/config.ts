// nano's shape, as the config.json and generation_config.json of its folder: Qwen3 family, 918,912
// parameters. The vocabulary is small so that most parameters compute; the head is the embedding.

export const NANO_VOCABULARY = 1024;
export const NANO_ROW_TOKENS = 768;

export const nanoConfig = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_size: 128,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  intermediate_size: 384,
  hidden_act: "silu",
  vocab_size: NANO_VOCABULARY,
  max_position_embeddings: 1024,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  attention_bias: false,
  tie_word_embeddings: true,
  use_sliding_window: false,
  bos_token_id: 0,
  eos_token_id: 0,
  torch_dtype: "bfloat16",
} as const;

/** With the family's own class, transformers would replace the rules of nano's tokenizer. */
export const nanoTokenizerConfig = {
  tokenizer_class: "PreTrainedTokenizerFast",
  bos_token: "<|endoftext|>",
  eos_token: "<|endoftext|>",
  pad_token: "<|endoftext|>",
  clean_up_tokenization_spaces: false,
  model_max_length: 1024,
} as const;

export const nanoGenerationConfig = {
  bos_token_id: 0,
  eos_token_id: 0,
  do_sample: true,
  temperature: 1,
} as const;
