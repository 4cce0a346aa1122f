// A row of a file as it was read, before it is known what it means.

import { UserError } from "../config/errors.ts";

export type Row = Readonly<Record<string, unknown>>;
/** A row and its number in the file, from 1: the line in JSONL. */
export interface NumberedRow {
  readonly row: Row;
  readonly number: number;
}
/** What a reader of rows tells while it reads. */
export interface ReadWatch {
  /** Takes a row that can't be read; absent: it is thrown. */
  readonly onBadRow?: ((fault: UserError, number: number) => void) | undefined;
  /** The share of the file that has been read. */
  readonly onRead?: ((share: number) => void) | undefined;
}
/** A column as people see it. */
export interface Field {
  readonly name: string;
  readonly type: string;
}

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at `a.b.c`; undefined where something on the way is no object. */
export function valueAt(row: Row, path: string): unknown {
  if (Object.hasOwn(row, path)) return row[path];
  let value: unknown = row;
  for (const key of path.split(".")) value = isRow(value) ? value[key] : undefined;
  return value;
}

/** An error of reading or unpacking a file, for a person. */
export function unreadable(error: unknown, path: string): UserError {
  const hint = "is the file complete? fetch it again";
  return new UserError(`cannot be read: ${(error as Error).message}`, {
    where: path,
    hint,
  });
}
