// From the text of a call to the values of a tool's parameters. What is wrong with it is an
// InvalidCallError that tells the policy what to write. Checked are presence and plain types; a
// tool that needs more checks for itself.

import { InvalidCallError, type ToolSpec } from "./tool.ts";

export type Arguments = Readonly<Record<string, unknown>>;

export interface ParameterSchema {
  readonly type: string;
  readonly default?: unknown;
  readonly enum?: unknown;
  readonly [key: string]: unknown;
}
export type ParameterSchemas = Readonly<Record<string, ParameterSchema>>;

/** The one parameter of a tool that says nothing of any. */
const INPUT: ParameterSchemas = { input: { type: "string" } };

/** Of a recipe's parameters: those without a default must be given. */
export function specOf(description: string, schemas: ParameterSchemas = INPUT): ToolSpec {
  const required = Object.keys(schemas).filter((name) => schemas[name]!.default === undefined);
  return withTextParameter(description, { type: "object", properties: schemas, required });
}

/** A bare text is the one parameter of a tool that has one, and that a string. */
export function withTextParameter(
  description: string,
  parameters: Readonly<Record<string, unknown>>,
): ToolSpec {
  const properties = Object.entries((parameters["properties"] ?? {}) as ParameterSchemas);
  const only = properties.length === 1 ? properties[0]! : undefined;
  if (only === undefined || only[1].type !== "string") return { description, parameters };
  return { description, parameters, textParameter: only[0] };
}

/** Values by name, defaults put in. Throws InvalidCallError. */
export function parseArguments({ parameters, textParameter }: ToolSpec, input: string): Arguments {
  const given =
    textParameter === undefined ? parseObject(input) : { [textParameter]: input.trim() };
  const schemas = (parameters["properties"] ?? {}) as ParameterSchemas;
  const required = (parameters["required"] ?? []) as readonly string[];
  const missing = required.filter((name) => isEmpty(given[name]));
  if (missing.length > 0) throw new InvalidCallError(missingText(missing, textParameter));
  for (const [name, value] of Object.entries(given)) requireFit(name, value, schemas);
  return { ...defaultsOf(schemas), ...given };
}

/** Throws InvalidCallError. */
export function parseObject(input: string): Arguments {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    throw new InvalidCallError("the call is not JSON.");
  }
  if (!isObject(value)) throw new InvalidCallError("the call is not a JSON object.");
  return value;
}

function isObject(value: unknown): value is Arguments {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isEmpty = (value: unknown): boolean => value === undefined || value === "";

function missingText(missing: readonly string[], textParameter: string | undefined): string {
  if (textParameter !== undefined) return "the call is empty.";
  return `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing.`;
}

function requireFit(name: string, value: unknown, schemas: ParameterSchemas): void {
  const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (schema === undefined) {
    const known = Object.keys(schemas).join(", ");
    throw new InvalidCallError(`there is no parameter ${name}, only ${known}.`);
  }
  if (!isOfType(value, schema.type)) {
    throw new InvalidCallError(`${name} is not of type ${schema.type}.`);
  }
  const allowed = schema.enum;
  if (!Array.isArray(allowed) || allowed.includes(value)) return;
  throw new InvalidCallError(`${name} is none of ${allowed.join(", ")}.`);
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return typeof value === type;
}

function defaultsOf(schemas: ParameterSchemas): Arguments {
  const entries = Object.entries(schemas).filter(([, schema]) => schema.default !== undefined);
  return Object.fromEntries(entries.map(([name, schema]) => [name, schema.default]));
}

/** The same text for the same values, in whatever order they were given. */
export function canonical(values: Arguments): string {
  const entries = Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries));
}

/** As it stands in a text. */
export function argumentText(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
