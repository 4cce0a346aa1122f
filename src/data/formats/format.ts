// What a source format is: which rows are of it, and what a row of it says. One file a format; each
// opens with an example row. Golds are the accepted answers, in the order of the source.

import { z } from "zod";
import type { CodeTests } from "../../types.ts";
import type { Row } from "../row.ts";

/** What a row says; `why` it is left out where it asks nothing that could be answered. */
export type RowMeaning =
  | {
      readonly kind: "task";
      readonly id?: string | undefined;
      readonly question: string;
      readonly golds: readonly string[];
      readonly tests?: CodeTests;
      readonly meta?: Readonly<Record<string, string | number | undefined>>;
    }
  | { readonly kind: "left_out"; readonly why: string };

/** Where a row is not what its format says. */
export class RowFault extends Error {}

export interface SourceFormat {
  readonly name: string;
  /** A row in one line, for messages. */
  readonly shape: string;
  /** The columns that are read. */
  readonly columns: readonly string[];
  /** Whether the first row of a file is of this format. */
  matches(row: Row): boolean;
  /** Throws RowFault. */
  read(row: Row): RowMeaning;
}

interface Definition<Fields extends z.ZodObject> {
  readonly name: string;
  readonly shape: string;
  readonly fields: Fields;
  matches(row: Row): boolean;
  read(fields: z.output<Fields>): RowMeaning;
}

export function defineFormat<Fields extends z.ZodObject>({
  name,
  shape,
  fields,
  matches,
  read,
}: Definition<Fields>): SourceFormat {
  const columns = Object.keys(fields.shape);
  return {
    name,
    shape,
    columns,
    matches,
    read: (row) => read(checked(fields, row)),
  };
}

function checked<Fields extends z.ZodObject>(fields: Fields, row: Row): z.output<Fields> {
  const result = fields.safeParse(row);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new RowFault(`${path.join(".")}: ${message.replace(/^Invalid input: /, "")}`);
}

/** Text, or a number written as one. 64-bit integers come as BigInt. */
const written = z.union([z.string(), z.number(), z.bigint()], {
  error: "expected text",
});

/** Text that says something. */
export const text = written
  .transform((value) => String(value).trim())
  .pipe(z.string().min(1, "is empty"));

/** One answer or a list of them, at least one of which says something. */
export const answers = z
  .union([written, z.array(written)], {
    error: "expected an answer or a list of answers",
  })
  .transform((value) => distinct(Array.isArray(value) ? value : [value]))
  .pipe(z.array(z.string()).min(1, "no accepted answer"));

export const id = written.transform(String).nullish();
/** A label that is kept where the row has it. */
export const label = written.transform(String).nullish();

/** Trimmed, without empty and repeated ones. */
export function distinct(values: readonly (string | number | bigint)[]): string[] {
  return [...new Set(values.map((value) => String(value).trim()).filter((value) => value !== ""))];
}

/** A row's id in a task: absent ones stay absent. */
export function task(
  rowId: string | null | undefined,
  question: string,
  golds: readonly string[],
  meta: Readonly<Record<string, string | number | null | undefined>> = {},
): RowMeaning {
  const known = Object.entries(meta).flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [[key, value] as const],
  );
  return {
    kind: "task",
    id: rowId ?? undefined,
    question,
    golds,
    meta: Object.fromEntries(known),
  };
}
