// A model folder as another one that transformers loads as it is: the same settings, the weights in
// the dtype asked for. One tensor is in memory at a time, and no engine is needed. Not the choice
// of a run's checkpoint (cli/export.ts).

import type { Dtype } from "../../ffi/policy.ts";
import type { FolderSource } from "./byte-source.ts";
import { EMBEDDING, ENGINE_DTYPES, openFolder, type StoredTensor } from "./model-folder.ts";
import { readTensor } from "./safetensors.ts";
import type { TensorToWrite } from "./safetensors-write.ts";
import { FILE_DTYPES, writeModelFolder } from "./save-folder.ts";
import { expectedTensors } from "./tensors.ts";

export const EXPORT_DTYPES = ["bf16", "f32"] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];

/**
 * Whole or absent. `dtype`: absent, the weights stay as they are. Returns the dtype written.
 * Rounds to nearest, ties to even, as torch does.
 */
export function exportFolder(source: FolderSource, out: string, dtype?: ExportDtype): Dtype {
  using folder = openFolder(source);
  const stored = (name: string): StoredTensor => folder.tensors.get(name)!;
  const written = dtype ?? ENGINE_DTYPES[stored(EMBEDDING).entry.dtype]!;
  const tensors = expectedTensors(folder.config.policy).map(({ name, shape }): TensorToWrite => {
    const bytes = (): Uint8Array => converted(stored(name), written);
    return { name, shape, dtype: FILE_DTYPES[written], bytes };
  });
  writeModelFolder(tensors, out, { dtype: written, copyFrom: source });
  return written;
}

/** The numbers of a tensor, whatever its dtype. */
export const storedValues = ({ source, entry }: StoredTensor): ArrayLike<number> =>
  decode(readTensor(source, entry).buffer, ENGINE_DTYPES[entry.dtype]!);

export function converted({ source, entry }: StoredTensor, dtype: Dtype): Uint8Array {
  const bytes = readTensor(source, entry);
  const from = ENGINE_DTYPES[entry.dtype]!;
  return from === dtype ? bytes : encode(decode(bytes.buffer, from), dtype);
}

function decode(buffer: ArrayBuffer, dtype: Dtype): ArrayLike<number> {
  if (dtype === "f32") return new Float32Array(buffer);
  if (dtype === "f64") return new Float64Array(buffer);
  if (dtype === "f16") return new Float16Array(buffer);
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
}

function encode(values: ArrayLike<number>, dtype: Dtype): Uint8Array {
  if (dtype === "f64") return new Uint8Array(Float64Array.from(values).buffer);
  if (dtype === "f16") return new Uint8Array(Float16Array.from(values).buffer);
  const single = values instanceof Float32Array ? values : Float32Array.from(values);
  if (dtype === "f32") return new Uint8Array(single.buffer);
  return new Uint8Array(Uint16Array.from(new Uint32Array(single.buffer), bfloat16).buffer);
}

/** Bits of a float to the nearest bfloat16; NaN stays NaN, what is too large becomes infinite. */
function bfloat16(bits: number): number {
  const isNan = (bits & 0x7fff_ffff) > 0x7f80_0000;
  return isNan ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
