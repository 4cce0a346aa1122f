// Writes a policy of ours as a GGUF file (version 3), so that llama.cpp runs the very same weights.
// Its vocabulary is made up, since llama.cpp insists on one: ids go in and come out. Qwen2 only, fp32
// or fp16. Not a converter for people: models with a tokenizer want llama.cpp's own.
//
// A file: magic, version, counts, key-value pairs, tensor descriptions, padding, tensor data. Each
// tensor begins at a multiple of 32 bytes; norms and biases are fp32 in both forms.

import { closeSync, openSync, writeSync } from "node:fs";
import type { Policy, TensorInfo } from "../ffi/policy.ts";

export type GgufDtype = "f32" | "f16";

const ALIGNMENT = 32;
const TYPE = { u32: 4, f32: 6, string: 8, strings: 9 } as const;
const TENSOR_TYPE: Readonly<Record<GgufDtype, number>> = { f32: 0, f16: 1 };
const BYTES: Readonly<Record<GgufDtype, number>> = { f32: 4, f16: 2 };

/** Little-endian fields one after the other. */
class Fields {
  private readonly parts: Buffer[] = [];
  length = 0;

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    return this.push(part);
  }
  u64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    return this.push(part);
  }
  f32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeFloatLE(value);
    return this.push(part);
  }
  string(value: string): this {
    const part = Buffer.from(value, "utf8");
    return this.u64(part.length).push(part);
  }
  strings(values: readonly string[]): this {
    this.u32(TYPE.string).u64(values.length);
    for (const value of values) this.string(value);
    return this;
  }
  push(part: Buffer): this {
    this.parts.push(part);
    this.length += part.length;
    return this;
  }
  bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

export function writeGguf(policy: Policy, path: string, dtype: GgufDtype, theta: number): void {
  const tensors = policy.tensors();
  const head = header(policy, tensors, dtype, theta);
  const file = openSync(path, "w");
  try {
    writeSync(file, head.bytes());
    writeSync(file, Buffer.alloc(padding(head.length)));
    for (const tensor of tensors) {
      const data = encoded(policy.read(tensor.name), dtypeOf(tensor, dtype));
      writeAll(file, data);
      writeSync(file, Buffer.alloc(padding(data.length)));
    }
  } finally {
    closeSync(file);
  }
}

function header(
  policy: Policy,
  tensors: readonly TensorInfo[],
  dtype: GgufDtype,
  theta: number,
): Fields {
  const pairs = keyValues(policy, theta);
  const fields = new Fields().push(Buffer.from("GGUF")).u32(3).u64(tensors.length);
  fields.u64(pairs.length);
  for (const [key, type, value] of pairs) {
    fields.string(key).u32(TYPE[type]);
    (fields[type] as (value: unknown) => Fields).call(fields, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    const kind = dtypeOf(tensor, dtype);
    fields.string(ggufName(tensor.name)).u32(tensor.shape.length);
    for (const size of tensor.shape.toReversed()) fields.u64(size); // the innermost first
    fields.u32(TENSOR_TYPE[kind]).u64(offset);
    const bytes = tensor.shape.reduce((product, size) => product * size, 1) * BYTES[kind];
    offset += bytes + padding(bytes);
  }
  return fields;
}

type KeyValue = readonly [key: string, type: keyof typeof TYPE, value: unknown];

function keyValues({ config }: Policy, theta: number): readonly KeyValue[] {
  const { layers, hidden, ffn, heads, kvHeads, headDim, vocab, rmsEps } = config;
  return [
    ["general.architecture", "string", "qwen2"],
    ["general.name", "string", "random"],
    ["qwen2.block_count", "u32", layers],
    ["qwen2.context_length", "u32", 32768],
    ["qwen2.embedding_length", "u32", hidden],
    ["qwen2.feed_forward_length", "u32", ffn],
    ["qwen2.attention.head_count", "u32", heads],
    ["qwen2.attention.head_count_kv", "u32", kvHeads],
    ["qwen2.attention.key_length", "u32", headDim],
    ["qwen2.attention.value_length", "u32", headDim],
    ["qwen2.attention.layer_norm_rms_epsilon", "f32", rmsEps],
    ["qwen2.rope.freq_base", "f32", theta],
    ["qwen2.vocab_size", "u32", vocab],
    ["tokenizer.ggml.model", "string", "gpt2"],
    ["tokenizer.ggml.pre", "string", "qwen2"],
    ["tokenizer.ggml.tokens", "strings", Array.from({ length: vocab }, (_, id) => `t${id}`)],
    ["tokenizer.ggml.merges", "strings", ["t 0"]],
    ["tokenizer.ggml.eos_token_id", "u32", 0],
  ];
}

const NAMES: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

/** "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight" */
export function ggufName(name: string): string {
  const [, layer, inner, kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name) ?? [];
  const known = NAMES[inner ?? ""];
  if (known === undefined) throw new Error(`GGUF has no name for ${name}`);
  return layer === undefined ? `${known}.${kind}` : `blk.${layer}.${known}.${kind}`;
}

const dtypeOf = ({ shape }: TensorInfo, dtype: GgufDtype): GgufDtype =>
  shape.length === 1 ? "f32" : dtype;

const padding = (length: number): number => (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;

function encoded(values: Float32Array<ArrayBuffer>, dtype: GgufDtype): Uint8Array {
  return new Uint8Array(dtype === "f32" ? values.buffer : new Float16Array(values).buffer);
}

/** A single write takes no more than 2 GiB, and may take less. */
function writeAll(file: number, data: Uint8Array): void {
  for (let at = 0; at < data.length; ) at += writeSync(file, data.subarray(at, at + (1 << 30)));
}
