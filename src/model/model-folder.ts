// A Hugging Face model folder, opened and checked: config, one or several safetensors files, every
// tensor's name, dtype, shape and place known to be right before anything of the engine is
// allocated. Not the weights' way into the engine: weights.ts.

import { UserError } from "../config/errors.ts";
import type { Dtype, TensorInfo } from "../../ffi/policy.ts";
import { type ByteSource, diskFolder, type FolderSource } from "./byte-source.ts";
import { type ModelConfig, parseGenerationEosIds, parseModelConfig } from "./hf-config.ts";
import { fieldError, objectField, parseFields } from "./json-fields.ts";
import { readHeader, readTensor, type SafetensorsDtype, type TensorEntry } from "./safetensors.ts";
import { expectedTensors } from "./tensors.ts";

/** Where a tensor lies. */
export interface StoredTensor {
  readonly source: ByteSource;
  readonly entry: TensorEntry;
}
/** An open folder: `using folder = openFolder(path)`. */
export interface ModelFolder extends Disposable {
  readonly source: FolderSource;
  readonly config: ModelConfig;
  /** Every tensor of the files by its own name, a tied head included where a file has it. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

export const SINGLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";
export const EMBEDDING = "model.embed_tokens.weight";
export const HEAD = "lm_head.weight";
/** The dtypes that a policy can be loaded from. */
export const ENGINE_DTYPES: Partial<Record<SafetensorsDtype, Dtype>> = {
  F32: "f32",
  F64: "f64",
  BF16: "bf16",
  F16: "f16",
};
/** Buffers that old conversions stored; derived from the config. */
const DERIVED = /\.rotary_emb\.inv_freq$/;

export function openFolder(folder: string | FolderSource): ModelFolder {
  const source = typeof folder === "string" ? diskFolder(folder) : folder;
  const config = readConfig(source);
  const sources = new DisposableStack();
  try {
    const tensors = readShards(source, sources);
    checkTensors(source, config, tensors);
    const owned = sources.move();
    return { source, config, tensors, [Symbol.dispose]: () => owned.dispose() };
  } finally {
    sources.dispose();
  }
}

/** config.json alone, with the end ids of generation_config.json. */
export function readConfig(source: FolderSource): ModelConfig {
  const hint = "a model folder has config.json and safetensors files";
  if (!source.has("config.json"))
    throw new UserError("no config.json", { where: source.name, hint });
  const config = parseModelConfig(readText(source, "config.json"), `${source.name}/config.json`);
  if (!source.has("generation_config.json")) return config;
  const more = parseGenerationEosIds(
    readText(source, "generation_config.json"),
    `${source.name}/generation_config.json`,
  );
  return { ...config, eosIds: [...new Set([...config.eosIds, ...more])] };
}

export function readText(source: FolderSource, file: string): string {
  return new TextDecoder().decode(source.bytes(file));
}

function readShards(source: FolderSource, sources: DisposableStack): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const file of shardFiles(source)) {
    const shard = sources.use(source.open(file));
    for (const entry of readHeader(shard).tensors) {
      if (tensors.has(entry.name))
        throw new UserError(`tensor ${entry.name} is in two shards`, { where: shard.name });
      tensors.set(entry.name, { source: shard, entry });
    }
  }
  return tensors;
}

function shardFiles(source: FolderSource): readonly string[] {
  if (source.has(SINGLE)) return [SINGLE];
  if (source.has(INDEX)) return indexedFiles(source);
  const pickled = source.list().some((file) => file.endsWith(".bin"));
  const hint = pickled
    ? "only safetensors are read: save the model again with safe_serialization"
    : `expected ${SINGLE} or ${INDEX}`;
  throw new UserError("no safetensors files", { where: source.name, hint });
}

function indexedFiles(source: FolderSource): readonly string[] {
  const index = parseFields(readText(source, INDEX), `${source.name}/${INDEX}`);
  const map = objectField(index, "weight_map");
  if (map === undefined) throw fieldError(index, "weight_map", "is missing");
  const files = [...new Set(Object.values(map.record))];
  for (const file of files) {
    const plain = typeof file === "string" && file.endsWith(".safetensors") && !/[/\\]/.test(file);
    if (!plain)
      throw fieldError(
        index,
        "weight_map",
        `names ${JSON.stringify(file)}, not a safetensors file of this folder`,
      );
    if (!source.has(file))
      throw new UserError(`shard ${file} is missing`, {
        where: source.name,
        hint: "fetch the folder again",
      });
  }
  return files as string[];
}

function checkTensors(
  source: FolderSource,
  config: ModelConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
): void {
  const expected = expectedTensors(config.policy);
  for (const tensor of expected) checkTensor(source, tensor, tensors.get(tensor.name));
  const names = new Set(expected.map(({ name }) => name));
  for (const [name, stored] of tensors) {
    if (names.has(name) || DERIVED.test(name)) continue;
    if (name === HEAD) checkTiedHead(tensors.get(EMBEDDING)!, stored);
    else
      throw new UserError(`unexpected tensor ${name}`, {
        where: stored.source.name,
        hint: "config.json describes another model",
      });
  }
}

function checkTensor(
  source: FolderSource,
  tensor: TensorInfo,
  stored: StoredTensor | undefined,
): void {
  if (stored === undefined) {
    const hint =
      tensor.name === HEAD
        ? "does config.json lack tie_word_embeddings: true?"
        : "config.json describes another model, or a shard is missing";
    throw new UserError(`tensor ${tensor.name} is missing`, { where: source.name, hint });
  }
  const { dtype, shape } = stored.entry;
  if (ENGINE_DTYPES[dtype] === undefined) {
    const hint = "supported: BF16, F16, F32, F64";
    throw new UserError(`tensor ${tensor.name} has dtype ${dtype}`, {
      where: stored.source.name,
      hint,
    });
  }
  if (Bun.deepEquals(shape, tensor.shape)) return;
  const expected = `config.json asks for [${tensor.shape.join(", ")}]`;
  throw new UserError(`tensor ${tensor.name} has shape [${shape.join(", ")}], ${expected}`, {
    where: stored.source.name,
  });
}

/**
 * A tied head in a file is allowed where it says what the embedding says; else one of the two would
 * be lost silently.
 */
function checkTiedHead(embedding: StoredTensor, head: StoredTensor): void {
  const same =
    head.entry.dtype === embedding.entry.dtype &&
    Bun.deepEquals(head.entry.shape, embedding.entry.shape) &&
    Buffer.compare(
      readTensor(head.source, head.entry),
      readTensor(embedding.source, embedding.entry),
    ) === 0;
  if (same) return;
  const hint = "set tie_word_embeddings to false in config.json if the head is meant to be its own";
  throw new UserError(`tensor ${HEAD} differs from the embedding that config.json ties it to`, {
    where: head.source.name,
    hint,
  });
}
