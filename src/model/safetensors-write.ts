// The safetensors format, written: whole or not at all, one tensor in memory at a time. Order is
// kept.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type SafetensorsDtype, tensorBytes } from "./safetensors.ts";

/** A tensor to write; `bytes` is called when its turn comes, so that only one is in memory. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  bytes(): Uint8Array;
}

/**
 * Writes the file whole or not at all: temporary name, fsync, rename. Keeps the order; the data
 * start 8-byte aligned.
 */
export function writeSafetensors(path: string, tensors: readonly TensorToWrite[]): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, "wx");
  try {
    writeAll(fd, encodeHeader(tensors));
    for (const tensor of tensors) writeTensor(fd, tensor);
    fsyncSync(fd);
    closeSync(fd);
    renameSync(temporary, path);
  } catch (error) {
    closeQuietly(fd);
    rmSync(temporary, { force: true });
    throw error;
  }
}

function encodeHeader(tensors: readonly TensorToWrite[]): Uint8Array {
  let end = 0;
  const entries = tensors.map((tensor) => {
    const begin = end;
    end += tensorBytes(tensor);
    return [
      tensor.name,
      { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] },
    ] as const;
  });
  const json = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.byteLength / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, 8);
  return header;
}

function writeTensor(fd: number, tensor: TensorToWrite): void {
  const bytes = tensor.bytes();
  if (bytes.byteLength !== tensorBytes(tensor)) {
    throw new Error(
      `${tensor.name}: ${bytes.byteLength} bytes for ${tensor.dtype} [${tensor.shape.join(", ")}]`,
    );
  }
  writeAll(fd, bytes);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;) {
    done += writeSync(fd, bytes, done, Math.min(2 ** 28, bytes.byteLength - done));
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // closed already: the error that brought us here is the one that counts
  }
}
