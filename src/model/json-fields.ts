// Typed fields of a JSON object from a file, each fault one line that names file and key. Not a
// schema language: recipes have zod; these are the few foreign files of a model folder, whose
// unknown keys must stay allowed.

import { UserError } from "../config/errors.ts";

export interface Fields {
  readonly file: string;
  /** "" at the top, "rope_scaling." inside that object. */
  readonly path: string;
  readonly record: Readonly<Record<string, unknown>>;
}

export function parseFields(text: string, file: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`not valid JSON: ${(error as Error).message}`, { where: file });
  }
  if (!isRecord(value)) throw new UserError("must hold a JSON object", { where: file });
  return { file, path: "", record: value };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error for a key: `file: key`. */
export function fieldError(fields: Fields, key: string, what: string, hint?: string): UserError {
  return new UserError(`${fields.path}${key} ${what}`, { where: fields.file, hint });
}

/** Absent and null mean the same in these files. */
export function has(fields: Fields, key: string): boolean {
  return fields.record[key] !== undefined && fields.record[key] !== null;
}

export function numberField(fields: Fields, key: string, fallback?: number): number {
  if (!has(fields, key) && fallback !== undefined) return fallback;
  const value = fields.record[key];
  if (value === undefined || value === null) throw fieldError(fields, key, "is missing");
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw fieldError(fields, key, `must be a finite number, not ${show(value)}`);
}

export function positiveField(fields: Fields, key: string, fallback?: number): number {
  const value = numberField(fields, key, fallback);
  if (value > 0) return value;
  throw fieldError(fields, key, `must be greater than 0, not ${value}`);
}

export function sizeField(fields: Fields, key: string, max: number, fallback?: number): number {
  const value = numberField(fields, key, fallback);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw fieldError(fields, key, `must be a whole number from 1 to ${max}, not ${value}`);
}

export function booleanField(fields: Fields, key: string, fallback: boolean): boolean {
  const value = has(fields, key) ? fields.record[key] : fallback;
  if (typeof value === "boolean") return value;
  throw fieldError(fields, key, `must be true or false, not ${show(value)}`);
}

export function stringField(fields: Fields, key: string, fallback?: string): string {
  const value = has(fields, key) ? fields.record[key] : fallback;
  if (typeof value === "string") return value;
  if (value === undefined) throw fieldError(fields, key, "is missing");
  throw fieldError(fields, key, `must be a string, not ${show(value)}`);
}

export function objectField(fields: Fields, key: string): Fields | undefined {
  if (!has(fields, key)) return undefined;
  const value = fields.record[key];
  if (isRecord(value)) return { file: fields.file, path: `${fields.path}${key}.`, record: value };
  throw fieldError(fields, key, `must be an object, not ${show(value)}`);
}

/** One id, several ids or none: `eos_token_id`. */
export function idsField(fields: Fields, key: string): readonly number[] {
  if (!has(fields, key)) return [];
  const value = fields.record[key];
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (ids.every((id): id is number => Number.isInteger(id) && (id as number) >= 0)) return ids;
  throw fieldError(fields, key, `must be a token id or a list of them, not ${show(value)}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
