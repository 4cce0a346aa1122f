// A Hugging Face model folder, written: settings copied, weights in one file or in shards with an
// index. Whole or absent: temporary name, fsync, rename. Where the tensors come from is the
// caller's: an engine's policy (weights.ts) or another folder (export.ts).

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Dtype } from "../../ffi/policy.ts";
import { diskFolder, type FolderSource } from "./byte-source.ts";
import { INDEX, readText, SINGLE } from "./model-folder.ts";
import { type SafetensorsDtype, tensorBytes } from "./safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.ts";

export interface SaveOptions {
  /** Of the files; converted where the policy's own differs. */
  readonly dtype: Dtype;
  /**
   * The folder (or files in memory) whose config.json, tokenizer and generation settings go along.
   */
  readonly copyFrom: string | FolderSource;
  /** Default 5 GB, as transformers. */
  readonly maxShardBytes?: number;
}

/** Replaces an older folder. */
export function writeModelFolder(
  tensors: readonly TensorToWrite[],
  folder: string,
  { dtype, copyFrom, maxShardBytes = 5e9 }: SaveOptions,
): void {
  const source = typeof copyFrom === "string" ? diskFolder(copyFrom) : copyFrom;
  const temporary = `${folder}.${process.pid}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    for (const file of COPIED.filter((name) => source.has(name)))
      writeSynced(join(temporary, file), source.bytes(file));
    const config = configWithDtype(readText(source, "config.json"), dtype);
    writeSynced(join(temporary, "config.json"), config);
    writeShards(tensors, temporary, maxShardBytes);
    replaceFolder(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

export const FILE_DTYPES = {
  f32: "F32",
  f64: "F64",
  bf16: "BF16",
  f16: "F16",
} as const satisfies Record<Dtype, SafetensorsDtype>;

const COPIED = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
  "chat_template.jinja",
  "chat_template.json",
];
const TORCH_NAMES: Record<Dtype, string> = {
  f32: "float32",
  f64: "float64",
  bf16: "bfloat16",
  f16: "float16",
};

/**
 * transformers 4 reads torch_dtype, transformers 5 dtype (and the old key): whichever is there,
 * else the old one.
 */
function configWithDtype(text: string, dtype: Dtype): Uint8Array {
  const config = JSON.parse(text) as Record<string, unknown>;
  config["dtype" in config ? "dtype" : "torch_dtype"] = TORCH_NAMES[dtype];
  return new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
}

function writeShards(
  tensors: readonly TensorToWrite[],
  folder: string,
  maxShardBytes: number,
): void {
  const shards = splitShards(tensors, maxShardBytes);
  if (shards.length === 1) return writeSafetensors(join(folder, SINGLE), shards[0]!);
  const number = (i: number): string => String(i).padStart(5, "0");
  const weight_map: Record<string, string> = {};
  shards.forEach((shard, i) => {
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const tensor of shard) weight_map[tensor.name] = file;
    writeSafetensors(join(folder, file), shard);
  });
  const total_size = shards.flat().reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const index = JSON.stringify({ metadata: { total_size }, weight_map }, null, 2);
  writeSynced(join(folder, INDEX), new TextEncoder().encode(`${index}\n`));
}

function splitShards(tensors: readonly TensorToWrite[], maxBytes: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensorBytes(tensor) > maxBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += tensorBytes(tensor);
  }
  return shards;
}

function writeSynced(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes, { flush: true });
}

function replaceFolder(temporary: string, folder: string): void {
  const old = `${folder}.${process.pid}.old`;
  syncFolder(temporary);
  try {
    renameSync(folder, old);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  renameSync(temporary, folder);
  syncFolder(dirname(folder));
  rmSync(old, { recursive: true, force: true });
}

/** Makes the names in a folder durable. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  fsyncSync(fd);
  closeSync(fd);
}
