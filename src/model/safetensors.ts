// The safetensors format, read: u64 length of the header, the header (JSON: name -> dtype, shape,
// data_offsets), the data. A header is foreign input: everything in it is checked before anything
// is allocated, and every fault is one line that names file and tensor. Not a model:
// model-folder.ts knows which tensors there should be.

import { UserError } from "../config/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { isRecord } from "./json-fields.ts";

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;
export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** In the file. */
  readonly offset: number;
  readonly byteLength: number;
}
export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;
const MAX_HEADER_BYTES = 100_000_000; // the limit of the format's own implementation
const MAX_DIMS = 8;

export function readHeader(source: ByteSource): SafetensorsHeader {
  const headerBytes = headerLength(source);
  const text = new TextDecoder("utf-8", { fatal: false }).decode(source.read(8, headerBytes));
  const record = parseHeader(source, text);
  const dataStart = 8 + headerBytes;
  const { __metadata__: metadata, ...entries } = record;
  const tensors = Object.entries(entries).map(([name, entry]) =>
    parseEntry(source, name, entry, dataStart),
  );
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkCover(source, tensors, dataStart);
  return { tensors, metadata: parseMetadata(source, metadata) };
}

export function tensorBytes(tensor: {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}): number {
  return tensor.shape.reduce((product, size) => product * size, DTYPE_BYTES[tensor.dtype]);
}

/** The tensor's bytes, little-endian as in the file, in memory of their own. */
export function readTensor(source: ByteSource, tensor: TensorEntry): Uint8Array<ArrayBuffer> {
  return source.read(tensor.offset, tensor.byteLength);
}

function headerLength(source: ByteSource): number {
  if (source.size < 8) throw fault(source, `is no safetensors file: ${source.size} bytes`);
  const length = new DataView(source.read(0, 8).buffer).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw fault(source, `claims a header of ${length} bytes, more than ${MAX_HEADER_BYTES}`);
  if (Number(length) <= source.size - 8) return Number(length);
  throw fault(source, `is truncated: a header of ${length} bytes, ${source.size - 8} there`);
}

function parseHeader(source: ByteSource, text: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw fault(source, `has a header that is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(header)) throw fault(source, "has a header that is not a JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) throw fault(source, "is listed twice", twice);
  return header;
}

function parseEntry(
  source: ByteSource,
  name: string,
  entry: unknown,
  dataStart: number,
): TensorEntry {
  if (!isRecord(entry)) throw fault(source, "is not described by an object", name);
  const dtype = parseDtype(source, name, entry.dtype);
  const shape = parseShape(source, name, entry.shape);
  const [begin, end] = parseOffsets(source, name, entry.data_offsets);
  const expected = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (expected !== end - begin) {
    throw fault(
      source,
      `has ${end - begin} bytes, but ${dtype} [${shape.join(", ")}] needs ${expected}`,
      name,
    );
  }
  if (dataStart + end > source.size) {
    throw fault(
      source,
      `ends at byte ${dataStart + end}, beyond the file's ${source.size} (truncated?)`,
      name,
    );
  }
  return { name, dtype, shape, offset: dataStart + begin, byteLength: end - begin };
}

function parseDtype(source: ByteSource, name: string, dtype: unknown): SafetensorsDtype {
  if (typeof dtype === "string" && Object.hasOwn(DTYPE_BYTES, dtype))
    return dtype as SafetensorsDtype;
  throw fault(source, `has the unknown dtype ${JSON.stringify(dtype)}`, name);
}

function parseShape(source: ByteSource, name: string, shape: unknown): readonly number[] {
  if (Array.isArray(shape) && shape.length <= MAX_DIMS && shape.every(isSize)) return shape;
  throw fault(source, `has the invalid shape ${JSON.stringify(shape)}`, name);
}

function parseOffsets(
  source: ByteSource,
  name: string,
  offsets: unknown,
): readonly [number, number] {
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (isSize(begin) && isSize(end) && begin <= end) return [begin, end];
  throw fault(source, `has the invalid data_offsets ${JSON.stringify(offsets)}`, name);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseMetadata(source: ByteSource, metadata: unknown): Record<string, string> {
  if (metadata === undefined || metadata === null) return {};
  const valid =
    isRecord(metadata) && Object.values(metadata).every((value) => typeof value === "string");
  if (valid) return metadata as Record<string, string>;
  throw fault(source, "has a __metadata__ that is not an object of strings");
}

/**
 * Tensors must cover the data exactly: an overlap is an alias, a hole hides bytes that nobody
 * checked.
 */
function checkCover(source: ByteSource, tensors: readonly TensorEntry[], dataStart: number): void {
  let end = dataStart;
  for (const tensor of tensors) {
    if (tensor.offset < end) throw fault(source, "overlaps the tensor before it", tensor.name);
    if (tensor.offset > end)
      throw fault(source, `leaves ${tensor.offset - end} unused bytes before it`, tensor.name);
    end = tensor.offset + tensor.byteLength;
  }
  if (end !== source.size)
    throw fault(source, `has ${source.size - end} bytes after its last tensor`);
}

/**
 * The first key that valid JSON has twice at its top level; JSON.parse keeps the last without a
 * word.
 */
function duplicateKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    if (char !== '"') continue;
    const end = stringEnd(text, at);
    if (depth === 1 && isKey(text, end)) {
      const key = JSON.parse(text.slice(at, end)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
    at = end - 1;
  }
  return undefined;
}

/** One past the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function isKey(text: string, after: number): boolean {
  let at = after;
  while (at < text.length && text[at]!.trim() === "") at++;
  return text[at] === ":";
}

function fault(source: ByteSource, what: string, tensor?: string): UserError {
  const subject = tensor === undefined ? "safetensors file" : `tensor ${tensor.slice(0, 200)}`;
  return new UserError(`${subject} ${what}`, {
    where: source.name,
    hint: "fetch or export the file again",
  });
}
