// Random models of a real family with the real tokenizer and chat template (helpers/fixtures.ts):
// two narrow layers over a vocabulary of full size, tens of megabytes. For tests of the path that a
// downloaded model takes. Where a test needs rollouts that call tools and answer, a model can be
// made to babble (babble.ts).

import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Device } from "../../ffi/device.ts";
import { Policy } from "../../ffi/policy.ts";
import { diskFolder, memoryFolder } from "../../src/model/byte-source.ts";
import { readConfig } from "../../src/model/model-folder.ts";
import { openTokenizer } from "../../src/model/tokenizer-folder.ts";
import { saveFolder } from "../../src/model/weights.ts";
import { babble } from "./babble.ts";
import { fixture, type RealModel } from "./fixtures.ts";

const SIZES = {
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 24,
  hidden_act: "silu",
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  torch_dtype: "bfloat16",
};
const FAMILIES = {
  qwen2_5: {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    vocab_size: 151936,
    rope_theta: 1e6,
    eos_token_id: 151645,
  },
  qwen3: {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    head_dim: 8,
    vocab_size: 151936,
    rope_theta: 1e6,
    eos_token_id: 151645,
  },
  llama3_2: {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    head_dim: 8,
    vocab_size: 128256,
    rope_theta: 5e5,
    eos_token_id: [128001, 128008, 128009],
  },
} as const satisfies Record<RealModel, object>;
const GENERATION = {
  qwen2_5: { eos_token_id: [151645, 151643] },
  qwen3: { eos_token_id: [151645, 151643] },
  llama3_2: { eos_token_id: [128001, 128008, 128009] },
} as const satisfies Record<RealModel, object>;

/**
 * Writes `folder`/`family` and returns its path; undefined where the fixture cannot be had. With
 * `texts`, which may hold few different tokens, it writes such texts.
 */
export function writeTinyFamily(
  folder: string,
  family: RealModel,
  texts: readonly string[] = [],
): string | undefined {
  const from = fixture(family);
  if (from === undefined) return undefined;
  const path = join(folder, family);
  mkdirSync(folder, { recursive: true });
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const source = memoryFolder(family, {
    "config.json": json({ ...SIZES, ...FAMILIES[family], tie_word_embeddings: texts.length === 0 }),
    "generation_config.json": json(GENERATION[family]),
  });
  using device = Device.open("cpu");
  using policy = Policy.open(device, readConfig(source).policy, "f32");
  policy.randomize(1, 0.05);
  if (texts.length > 0) babble(policy, openTokenizer(diskFolder(from)), texts);
  saveFolder(policy, path, { dtype: "bf16", copyFrom: source });
  for (const file of ["tokenizer.json", "tokenizer_config.json"])
    copyFileSync(join(from, file), join(path, file));
  return path;
}
