// A file of rows: JSONL, JSON or Parquet, plain or gzipped, known by its first bytes and not by its
// name. Rows come in batches, so that a file may be larger than memory. Not here: what a row means
// (formats/), which files there are (source.ts).

import { UserError } from "../config/errors.ts";
import { jsonRows } from "./json-rows.ts";
import { jsonlRows, textChunks } from "./jsonl-rows.ts";
import { isParquet, parquetFile, type Content } from "./parquet-rows.ts";
import { type Field, type NumberedRow, type ReadWatch, unreadable } from "./row.ts";

export type RowFileKind = "jsonl" | "json" | "parquet";

export interface RowFile {
  readonly path: string;
  readonly kind: RowFileKind;
  readonly isGzipped: boolean;
  /** The file's own account of its columns; undefined where only its rows tell. */
  readonly schema: readonly Field[] | undefined;
  /** `columns`: those that will be looked at; a columnar file reads no others. */
  batches(columns?: readonly string[], watch?: ReadWatch): AsyncIterable<readonly NumberedRow[]>;
  /** What to call a row in a message. */
  place(number: number): string;
}

/** Bytes that are enough to know a file by. */
const HEAD_BYTES = 1 << 16;

export async function openRowFile(path: string): Promise<RowFile> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new UserError("there is no such file", { where: path });
  if (file.size === 0) throw new UserError("the file is empty", { where: path });
  const magic = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const isGzipped = magic[0] === 0x1f && magic[1] === 0x8b;
  const content = isGzipped ? gunzipped(path) : plain(path);
  if (isParquet(await content.head())) return parquetRowFile(path, isGzipped, content);
  const head = new TextDecoder().decode(await content.head()).replace(/^\uFEFF/, "");
  const kind = textKind(head, path);
  const rows = kind === "jsonl" ? jsonlRows : jsonRows;
  return {
    path,
    kind,
    isGzipped,
    schema: undefined,
    batches: (_columns, watch) =>
      rows(textChunks(content.stream(watch?.onRead), path), path, watch),
    place: (number) => (kind === "jsonl" ? `${path}:${number}` : `${path} row ${number}`),
  };
}

/** The bytes of a file without its gzip wrapping. */
interface FileContent extends Content {
  head(): Promise<Uint8Array>;
  /** `onRead`: is told the share of the file that has been read. */
  stream(onRead?: (share: number) => void): ReadableStream<Uint8Array>;
}

function plain(path: string): FileContent {
  const file = Bun.file(path);
  const slice = (start: number, end?: number): Promise<ArrayBuffer> =>
    file.slice(start, end).arrayBuffer();
  return {
    head: async () => new Uint8Array(await slice(0, HEAD_BYTES)),
    stream: (onRead) => streamOf(path, onRead),
    slice,
    size: () => Promise.resolve(file.size),
  };
}

type FileStream = ReturnType<Bun.BunFile["stream"]>;

function streamOf(path: string, onRead?: (share: number) => void): FileStream {
  const file = Bun.file(path);
  if (onRead === undefined) return file.stream();
  let bytes = 0;
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      onRead(bytes / file.size);
      controller.enqueue(chunk);
    },
  });
  return file.stream().pipeThrough(counter);
}

/** Parquet needs its end first, so that a gzipped one is unpacked in memory, once. */
function gunzipped(path: string): FileContent {
  const stream = (onRead?: (share: number) => void): ReadableStream<Uint8Array> =>
    streamOf(path, onRead).pipeThrough(new DecompressionStream("gzip"));
  let whole: Promise<ArrayBuffer> | undefined;
  const all = (): Promise<ArrayBuffer> => (whole ??= readAll(stream(), path));
  return {
    head: () => readHead(stream(), path),
    stream,
    slice: async (start, end) => (await all()).slice(start, end),
    size: async () => (await all()).byteLength,
  };
}

async function readHead(stream: ReadableStream<Uint8Array>, path: string): Promise<Uint8Array> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  try {
    for (let size = 0; size < HEAD_BYTES;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
    }
  } catch (error) {
    throw unreadable(error, path);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  return new Uint8Array(Buffer.concat(parts));
}

async function readAll(stream: ReadableStream<Uint8Array>, path: string): Promise<ArrayBuffer> {
  try {
    return await new Response(stream).arrayBuffer();
  } catch (error) {
    throw unreadable(error, path);
  }
}

async function parquetRowFile(path: string, isGzipped: boolean, content: Content) {
  const file = await parquetFile(content, path);
  const place = (number: number): string => `${path} row ${number}`;
  return { path, kind: "parquet", isGzipped, place, ...file } as const;
}

/**
 * `[` begins one JSON document. `{` begins a line of JSONL, unless its line ends right there or
 * holds all rows in one list.
 */
function textKind(head: string, path: string): "jsonl" | "json" {
  const text = head.trimStart();
  const first = text[0];
  if (first === "[") return "json";
  if (first !== "{") {
    const what = first === undefined ? "the file holds only white space" : "no rows in this file";
    throw new UserError(what, {
      where: path,
      hint: "read are JSONL, JSON and Parquet, also .gz",
    });
  }
  const line = text.split("\n", 1)[0]!.trim();
  return line === "{" || /^\{\s*"\w+"\s*:\s*\[\s*\{/.test(line) ? "json" : "jsonl";
}
