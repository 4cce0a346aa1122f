// Weights between Hugging Face folders and the engine: loaded into a policy, saved from one. Not
// the reading of folders (model-folder.ts) nor the file format (safetensors.ts).

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
import type { Device } from "../../ffi/device.ts";
import { type Dtype, type HostArray, Policy, type TensorInfo } from "../../ffi/policy.ts";
import { diskFolder, type FolderSource } from "./byte-source.ts";
import {
  ENGINE_DTYPES,
  INDEX,
  type ModelFolder,
  openFolder,
  readText,
  SINGLE,
  type StoredTensor,
} from "./model-folder.ts";
import { readTensor, type SafetensorsDtype, tensorBytes } from "./safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.ts";
import { expectedTensors } from "./tensors.ts";

export { type ModelFolder, openFolder } from "./model-folder.ts";

/** A policy with the folder's weights, converted once to `dtype`. The caller closes it. */
export function loadPolicy(
  device: Device,
  folder: string | FolderSource | ModelFolder,
  dtype: Dtype,
): Policy {
  if (typeof folder === "string" || !("tensors" in folder)) {
    using opened = openFolder(folder);
    return loadPolicy(device, opened, dtype);
  }
  const policy = Policy.open(device, folder.config.policy, dtype);
  try {
    for (const { name } of expectedTensors(folder.config.policy))
      writeTensor(policy, name, folder.tensors.get(name)!);
    return policy;
  } catch (error) {
    policy[Symbol.dispose]();
    throw error;
  }
}

function writeTensor(policy: Policy, name: string, stored: StoredTensor): void {
  const dtype = ENGINE_DTYPES[stored.entry.dtype]!;
  policy.write(name, typedView(readTensor(stored.source, stored.entry), dtype), dtype);
}

function typedView(bytes: Uint8Array<ArrayBuffer>, dtype: Dtype): HostArray {
  if (dtype === "f32") return new Float32Array(bytes.buffer);
  return dtype === "f64" ? new Float64Array(bytes.buffer) : new Uint16Array(bytes.buffer);
}

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

/**
 * Writes a folder that transformers loads as it is. Whole or absent: temporary name, fsync, rename;
 * replaces an older one.
 */
export function saveFolder(policy: Policy, folder: string, options: SaveOptions): void {
  const source =
    typeof options.copyFrom === "string" ? diskFolder(options.copyFrom) : options.copyFrom;
  const temporary = `${folder}.${process.pid}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    for (const file of COPIED.filter((name) => source.has(name)))
      writeSynced(join(temporary, file), source.bytes(file));
    writeSynced(
      join(temporary, "config.json"),
      configWithDtype(readText(source, "config.json"), options.dtype),
    );
    writeShards(policy, temporary, options.dtype, options.maxShardBytes ?? 5e9);
    replaceFolder(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

const FILE_DTYPES = { f32: "F32", f64: "F64", bf16: "BF16", f16: "F16" } as const satisfies Record<
  Dtype,
  SafetensorsDtype
>;

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

function writeShards(policy: Policy, folder: string, dtype: Dtype, maxShardBytes: number): void {
  const shards = splitShards(
    policy.tensors().map((tensor) => toWrite(policy, tensor, dtype)),
    maxShardBytes,
  );
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

function toWrite(policy: Policy, tensor: TensorInfo, dtype: Dtype): TensorToWrite {
  const entry = { name: tensor.name, dtype: FILE_DTYPES[dtype], shape: tensor.shape };
  const bytes = (): Uint8Array => {
    const buffer = new Uint8Array(tensorBytes(entry));
    policy.readInto(tensor.name, typedView(buffer, dtype), dtype);
    return buffer;
  };
  return { ...entry, bytes };
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
