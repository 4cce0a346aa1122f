// What the schema refused, as one UserError with a place and a suggestion. Knows the schema's keys,
// not its meaning.

import { z } from "zod";
import { nearest, suggestion, UserError } from "./errors.ts";
import { isMap, type Path } from "./layer.ts";
import { recipeSchema } from "./recipe.ts";

type Issue = z.core.$ZodIssue;

type Place = (path: Path) => string | undefined;

/**
 * One issue is the message, a misspelt key before one that seems missing; how many more there are
 * is said. `schema`: what refused it.
 */
export function schemaError(
  error: z.ZodError,
  place: Place,
  schema: z.ZodType = recipeSchema,
): UserError {
  const misspelt = error.issues.find(({ code }) => code === "unrecognized_keys");
  const first = misspelt ?? error.issues[0];
  if (first === undefined) throw new Error("a failed parse without an issue");
  const path = [...issuePath(first)];
  const more = error.issues.length - 1;
  const what = `${describe(first)}${more > 0 ? ` (and ${more} more)` : ""}`;
  return new UserError(what, { where: nearestPlace(path, place), hint: hintFor(first, schema) });
}

/** An unknown key is at the key itself, not at the map that holds it. */
function issuePath(issue: Issue): Path {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  return issue.code === "unrecognized_keys" ? [...path, issue.keys[0] ?? ""] : path;
}

/** A value that is missing is looked for at the map that should hold it. */
function nearestPlace(path: Path, place: Place): string | undefined {
  for (let length = path.length; length >= 0; length--) {
    const found = place(path.slice(0, length));
    if (found !== undefined) return found;
  }
  return undefined;
}

function describe(issue: Issue): string {
  const key = issuePath(issue).join(".");
  if (issue.code === "unrecognized_keys") return `unknown key "${key}"`;
  if (issue.code === "custom") return issue.message;
  if (issue.code === "invalid_key") return `the key "${key}" is not ${issue.issues[0]!.message}`;
  return `${key || "the file"}: ${issue.message.replace(/^Invalid input: /, "")}`;
}

function hintFor(issue: Issue, schema: z.ZodType): string | undefined {
  if (issue.code === "unrecognized_keys") return keyHint(issue, jsonSchemaOf(schema));
  if (issue.code !== "invalid_value" || typeof issue.input !== "string") return undefined;
  return suggestion(issue.input, issue.values.map(String));
}

/** A sibling with a near name, else the same key elsewhere in the recipe, else the siblings. */
function keyHint(issue: z.core.$ZodIssueUnrecognizedKeys, schema: JsonSchema): string {
  const key = issue.keys[0] ?? "";
  const objects = objectsAt(schema, issue.path);
  const siblings = keysOf(ofKind(objects, issue.input));
  const near = nearest(key, siblings) ?? nearest(key, keysOf(objects));
  if (near !== undefined) return `did you mean "${near}"?`;
  const elsewhere = keyPaths(schema, []).find((path) => path.at(-1) === key);
  return elsewhere ? `did you mean "${elsewhere.join(".")}"?` : suggestion(key, siblings);
}

function keysOf(objects: readonly JsonSchema[]): readonly string[] {
  return [...new Set(objects.flatMap(({ properties = {} }) => Object.keys(properties)))];
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input" }) as JsonSchema;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  /** Of a map with keys of the user's choice. */
  readonly additionalProperties?: JsonSchema | boolean;
  readonly oneOf?: readonly JsonSchema[];
  readonly const?: unknown;
}

/** What may stand at the path: several where a value has several kinds. */
function objectsAt(schema: JsonSchema, path: readonly PropertyKey[]): readonly JsonSchema[] {
  let at: readonly JsonSchema[] = [schema];
  for (const part of path) {
    at = at.flatMap((each) => variants(childOf(each, part)));
  }
  return at;
}

function childOf(schema: JsonSchema, part: PropertyKey): JsonSchema | undefined {
  if (typeof part === "number") return schema.items;
  const { properties, additionalProperties: others } = schema;
  return properties?.[String(part)] ?? (typeof others === "object" ? others : undefined);
}

function variants(schema: JsonSchema | undefined): readonly JsonSchema[] {
  return schema === undefined ? [] : (schema.oneOf ?? [schema]);
}

/** Those of the kind that the value says it is; all where it says none. */
function ofKind(objects: readonly JsonSchema[], value: unknown): readonly JsonSchema[] {
  const kind = isMap(value) ? value["kind"] : undefined;
  const own = objects.filter(({ properties }) => properties?.["kind"]?.const === kind);
  return kind === undefined || own.length === 0 ? objects : own;
}

/** Where a map's keys are the user's, the name of each kind stands for one. */
function keyPaths(schema: JsonSchema, path: readonly string[]): string[][] {
  const others = childOf(schema, "");
  const kinds = variants(others).map((each) => [kindOf(each), each] as const);
  const children = [...Object.entries(schema.properties ?? {}), ...kinds];
  return children.flatMap(([key, child]) => {
    const own = [...path, key];
    return [own, ...keyPaths(child, own)];
  });
}

const kindOf = ({ properties }: JsonSchema): string => String(properties?.["kind"]?.const ?? "");
