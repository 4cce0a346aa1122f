// Weights between Hugging Face folders and the engine: loaded into a policy, saved from one. Not
// the reading of folders (model-folder.ts), nor their writing (save-folder.ts), nor the file format
// (safetensors.ts).

import type { Device } from "../../ffi/device.ts";
import { type Dtype, type HostArray, Policy, type TensorInfo } from "../../ffi/policy.ts";
import type { FolderSource } from "./byte-source.ts";
import { ENGINE_DTYPES, type ModelFolder, openFolder, type StoredTensor } from "./model-folder.ts";
import { readTensor, tensorBytes } from "./safetensors.ts";
import type { TensorToWrite } from "./safetensors-write.ts";
import { FILE_DTYPES, type SaveOptions, writeModelFolder } from "./save-folder.ts";
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

/**
 * Writes a folder that transformers loads as it is. Whole or absent; replaces an older one.
 */
export function saveFolder(policy: Policy, folder: string, options: SaveOptions): void {
  const tensors = policy.tensors().map((tensor) => toWrite(policy, tensor, options.dtype));
  writeModelFolder(tensors, folder, options);
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
