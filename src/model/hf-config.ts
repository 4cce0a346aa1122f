// config.json of a Hugging Face folder -> what the engine needs. Families: Qwen2 and Qwen2.5,
// Qwen3, Llama 3.x. Every setting that would change the mathematics and is not supported is refused
// here; keys without such an effect are ignored.

import type { PolicyConfig } from "../../ffi/policy.ts";
import {
  booleanField,
  fieldError,
  type Fields,
  has,
  idsField,
  numberField,
  parseFields,
  positiveField,
  sizeField,
  stringField,
} from "./json-fields.ts";
import { parseRope } from "./hf-rope.ts";
import { rotary } from "./rope.ts";

export type Family = "qwen2" | "qwen3" | "llama";

export interface ModelConfig {
  readonly family: Family;
  readonly policy: PolicyConfig;
  /** All of them; generation_config.json may add more. */
  readonly eosIds: readonly number[];
  readonly maxPositions: number;
}

interface FamilyTraits {
  readonly architecture: string;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
  /** Taken where config.json gives no head_dim; undefined: hidden_size / num_attention_heads. */
  readonly headDim?: number;
  /** Whether num_key_value_heads may be absent, and then equals num_attention_heads. */
  readonly kvHeadsOptional: boolean;
}
const FAMILIES: Readonly<Record<Family, FamilyTraits>> = {
  qwen2: { architecture: "Qwen2ForCausalLM", qkvBias: true, qkNorm: false, kvHeadsOptional: false },
  qwen3: {
    architecture: "Qwen3ForCausalLM",
    qkvBias: false,
    qkNorm: true,
    headDim: 128,
    kvHeadsOptional: false,
  },
  llama: { architecture: "LlamaForCausalLM", qkvBias: false, qkNorm: false, kvHeadsOptional: true },
};
const MAX_SIZE = 2 ** 24;
const MAX_LAYERS = 4096;

export function parseModelConfig(text: string, file: string): ModelConfig {
  const fields = parseFields(text, file);
  const family = parseFamily(fields);
  refuseUnsupported(fields);
  const maxPositions = sizeField(fields, "max_position_embeddings", 2 ** 31 - 1, 2048);
  return {
    family,
    policy: parsePolicy(fields, FAMILIES[family]),
    eosIds: idsField(fields, "eos_token_id"),
    maxPositions,
  };
}

function parseFamily(fields: Fields): Family {
  const hint = `supported: ${Object.values(FAMILIES)
    .map((family) => family.architecture)
    .join(", ")}`;
  const type = stringField(fields, "model_type");
  if (!Object.hasOwn(FAMILIES, type))
    throw fieldError(fields, "model_type", `"${type}" is not supported`, hint);
  const family = type as Family;
  const named = fields.record.architectures;
  const known =
    !Array.isArray(named) || named.length === 0 || named.includes(FAMILIES[family].architecture);
  if (known) return family;
  throw fieldError(fields, "architectures", `${JSON.stringify(named)} is not supported`, hint);
}

function refuseUnsupported(fields: Fields): void {
  const activation = stringField(fields, "hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") {
    throw fieldError(fields, "hidden_act", `"${activation}" is not supported`, "supported: silu");
  }
  for (const key of ["attention_bias", "mlp_bias"]) {
    if (booleanField(fields, key, false)) {
      throw fieldError(
        fields,
        key,
        "true is not supported",
        "it adds biases that these families' released models lack",
      );
    }
  }
  if (has(fields, "quantization_config")) {
    const hint = "use the unquantised folder: trained weights must be bf16, fp16 or fp32";
    throw fieldError(fields, "quantization_config", "is not supported", hint);
  }
  refuseSlidingWindow(fields);
}

function refuseSlidingWindow(fields: Fields): void {
  const types = fields.record.layer_types;
  const listed = Array.isArray(types) && types.some((type) => type !== "full_attention");
  const layers = numberField(fields, "num_hidden_layers", 0);
  const used = booleanField(fields, "use_sliding_window", false) && has(fields, "sliding_window");
  const reached =
    used && !Array.isArray(types) && numberField(fields, "max_window_layers", 28) < layers;
  if (!listed && !reached) return;
  const hint = "set use_sliding_window to false if every prompt and answer fits in the window";
  throw fieldError(
    fields,
    listed ? "layer_types" : "use_sliding_window",
    "asks for sliding-window attention, not supported",
    hint,
  );
}

function parsePolicy(fields: Fields, traits: FamilyTraits): PolicyConfig {
  const size = (key: string, fallback?: number): number =>
    sizeField(fields, key, MAX_SIZE, fallback);
  const hidden = size("hidden_size");
  const heads = size("num_attention_heads");
  const kvHeads = size("num_key_value_heads", traits.kvHeadsOptional ? heads : undefined);
  if (heads % kvHeads !== 0) {
    throw fieldError(
      fields,
      "num_key_value_heads",
      `is ${kvHeads}, which does not divide num_attention_heads ${heads}`,
    );
  }
  const headDim = parseHeadDim(fields, traits, hidden, heads);
  const { invFreq, attentionScale } = rotary(parseRope(fields), headDim);
  return {
    hidden,
    layers: sizeField(fields, "num_hidden_layers", MAX_LAYERS),
    heads,
    kvHeads,
    headDim,
    ffn: size("intermediate_size"),
    vocab: size("vocab_size"),
    qkvBias: traits.qkvBias,
    qkNorm: traits.qkNorm,
    tied: booleanField(fields, "tie_word_embeddings", false),
    rmsEps: positiveField(fields, "rms_norm_eps", 1e-6),
    ropeAttentionScale: attentionScale,
    invFreq,
  };
}

function parseHeadDim(fields: Fields, traits: FamilyTraits, hidden: number, heads: number): number {
  const headDim = sizeField(fields, "head_dim", MAX_SIZE, traits.headDim ?? hidden / heads);
  if (headDim % 2 === 0) return headDim;
  throw fieldError(fields, "head_dim", `must be even, not ${headDim}`);
}

/**
 * The end ids of generation_config.json, which a chat model's folder extends those of config.json
 * with.
 */
export function parseGenerationEosIds(text: string, file: string): readonly number[] {
  return idsField(parseFields(text, file), "eos_token_id");
}
