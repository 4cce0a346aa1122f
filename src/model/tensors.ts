// Which tensors a policy has, by Hugging Face name: known before anything is allocated, so that a
// folder can be refused first. Shapes: D hidden, V vocab, F ffn, Q heads * headDim, K kvHeads *
// headDim.

import type { PolicyConfig, TensorInfo } from "../../ffi/policy.ts";

/** In the order of a Hugging Face file. A tied head is not listed: it is the embedding. */
export function expectedTensors(config: PolicyConfig): readonly TensorInfo[] {
  const { hidden: D, vocab: V } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    layerTensors(config, `model.layers.${layer}.`),
  );
  return [
    { name: "model.embed_tokens.weight", shape: [V, D] },
    ...layers.flat(),
    { name: "model.norm.weight", shape: [D] },
    ...(config.tied ? [] : [{ name: "lm_head.weight", shape: [V, D] }]),
  ];
}

function layerTensors(config: PolicyConfig, prefix: string): TensorInfo[] {
  const { hidden: D, ffn: F, headDim, qkvBias, qkNorm } = config;
  const Q = config.heads * headDim;
  const K = config.kvHeads * headDim;
  const table: readonly (readonly [name: string, present: boolean, shape: readonly number[]])[] = [
    ["input_layernorm.weight", true, [D]],
    ["self_attn.q_proj.weight", true, [Q, D]],
    ["self_attn.q_proj.bias", qkvBias, [Q]],
    ["self_attn.k_proj.weight", true, [K, D]],
    ["self_attn.k_proj.bias", qkvBias, [K]],
    ["self_attn.v_proj.weight", true, [K, D]],
    ["self_attn.v_proj.bias", qkvBias, [K]],
    ["self_attn.q_norm.weight", qkNorm, [headDim]],
    ["self_attn.k_norm.weight", qkNorm, [headDim]],
    ["self_attn.o_proj.weight", true, [D, Q]],
    ["post_attention_layernorm.weight", true, [D]],
    ["mlp.gate_proj.weight", true, [F, D]],
    ["mlp.up_proj.weight", true, [F, D]],
    ["mlp.down_proj.weight", true, [D, F]],
  ];
  return table
    .filter(([, present]) => present)
    .map(([name, , shape]) => ({ name: prefix + name, shape }));
}
