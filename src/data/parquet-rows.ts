// Rows of a Parquet file, through hyparquet with all its codecs. A row group is held at a time, and
// of it only the columns asked for. 64-bit integers arrive as BigInt and stay that way.

import type { AsyncBuffer, FileMetaData, SchemaTree } from "hyparquet";
import { UserError } from "../config/errors.ts";
import type { Field, NumberedRow, ReadWatch, Row } from "./row.ts";

/** Bytes of which any part can be read. */
export interface Content {
  slice(start: number, end: number | undefined): Promise<ArrayBuffer>;
  size(): Promise<number>;
}

interface ParquetRows {
  readonly schema: readonly Field[];
  batches(columns?: readonly string[], watch?: ReadWatch): AsyncIterable<readonly NumberedRow[]>;
}

export function isParquet(head: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(head.subarray(0, 4)) === "PAR1";
}

export async function parquetFile(content: Content, path: string): Promise<ParquetRows> {
  const { parquetMetadataAsync, parquetSchema } = await import("hyparquet");
  const byteLength = await content.size();
  const file: AsyncBuffer = {
    byteLength,
    slice: (start, end) => content.slice(start, end),
  };
  const metadata = await parquetMetadataAsync(file).catch((error) => {
    throw damaged(error, path);
  });
  const { children } = parquetSchema(metadata);
  const schema = children.map((child) => ({
    name: child.element.name,
    type: typeText(child),
  }));
  return {
    schema,
    batches(columns, watch) {
      const known = schema.map(({ name }) => name);
      const wanted = columns === undefined ? known : known.filter((name) => columns.includes(name));
      const read = { file, metadata, columns: wanted.length > 0 ? wanted : known };
      return rowGroups(read, path, watch);
    },
  };
}

interface Read {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly columns: string[];
}

async function* rowGroups(
  read: Read,
  path: string,
  { onRead }: ReadWatch = {},
): AsyncGenerator<readonly NumberedRow[]> {
  const { parquetReadObjects } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  let rowStart = 0;
  for (const group of read.metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await parquetReadObjects({
      ...read,
      compressors,
      rowStart,
      rowEnd,
    }).catch((error) => {
      throw damaged(error, path);
    });
    const first = rowStart + 1;
    onRead?.(rowEnd / Number(read.metadata.num_rows));
    yield rows.map((row, index) => ({
      row: row as Row,
      number: first + index,
    }));
    rowStart = rowEnd;
  }
}

function damaged(error: unknown, path: string): UserError {
  const hint = "is the file complete? fetch it again";
  return new UserError(`damaged Parquet file: ${(error as Error).message}`, {
    where: path,
    hint,
  });
}

/** `string`, `int64`, `list<string>`, `{content: string, role: string}`. */
function typeText({ element, children }: SchemaTree): string {
  const { converted_type: converted, logical_type: logical, type } = element;
  const isList = converted === "LIST" || logical?.type === "LIST";
  if (isList) return `list<${itemText(children[0])}>`;
  if (children.length > 0) {
    return `{${children.map((child) => `${child.element.name}: ${typeText(child)}`).join(", ")}}`;
  }
  const isText = converted === "UTF8" || logical?.type === "STRING";
  return isText ? "string" : (logical?.type ?? converted ?? type ?? "unknown").toLowerCase();
}

/** A list's repeated group holds the item; older writers put the item there itself. */
function itemText(repeated: SchemaTree | undefined): string {
  if (repeated === undefined) return "unknown";
  const [only, ...more] = repeated.children;
  return typeText(only !== undefined && more.length === 0 ? only : repeated);
}
