// An adapter's folder as another one that PEFT loads as it is: the same settings, the weights in
// the dtype asked for. Not the merged model (export.ts), nor the writing of a trainer's (peft.ts).

import type { Dtype } from "../../ffi/policy.ts";
import { writeFolderAtomic } from "../run/atomic.ts";
import type { FolderSource } from "./byte-source.ts";
import { converted, type ExportDtype } from "./export.ts";
import { ENGINE_DTYPES } from "./model-folder.ts";
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, writeAdapterFiles } from "./peft.ts";
import { readHeader } from "./safetensors.ts";
import type { TensorToWrite } from "./safetensors-write.ts";
import { FILE_DTYPES } from "./save-folder.ts";

/** Whole or absent. `dtype`: absent, the weights stay as they are. Returns the dtype written. */
export function exportAdapter(source: FolderSource, out: string, dtype?: ExportDtype): Dtype {
  using weights = source.open(ADAPTER_WEIGHTS);
  const entries = readHeader(weights).tensors;
  const written = dtype ?? ENGINE_DTYPES[entries[0]!.dtype]!;
  const tensors = entries.map(({ name, shape, ...entry }): TensorToWrite => {
    const stored = { source: weights, entry: { name, shape, ...entry } };
    return { name, shape, dtype: FILE_DTYPES[written], bytes: () => converted(stored, written) };
  });
  const config = source.bytes(ADAPTER_CONFIG);
  writeFolderAtomic(out, (folder) => writeAdapterFiles(folder, config, tensors));
  return written;
}

/** The model that an adapter is for, as its settings name it. */
export function adapterBase(source: FolderSource): string {
  const text = new TextDecoder().decode(source.bytes(ADAPTER_CONFIG));
  return (JSON.parse(text) as { base_model_name_or_path: string }).base_model_name_or_path;
}
