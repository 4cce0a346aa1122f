// What the schema refused, as one UserError with a place and a suggestion. Knows the schema's keys,
// not its meaning.

import { z } from "zod";
import { nearest, suggestion, UserError } from "./errors.ts";
import type { Path } from "./layer.ts";
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
  const siblings = Object.keys(objectAt(schema, issue.path)?.properties ?? {});
  const near = nearest(key, siblings);
  if (near !== undefined) return `did you mean "${near}"?`;
  const elsewhere = keyPaths(schema, []).find((path) => path.at(-1) === key);
  return elsewhere ? `did you mean "${elsewhere.join(".")}"?` : suggestion(key, siblings);
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input" }) as JsonSchema;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

function objectAt(schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const part of path) {
    at = typeof part === "number" ? at?.items : at?.properties?.[String(part)];
  }
  return at;
}

function keyPaths(schema: JsonSchema, path: readonly string[]): string[][] {
  const children = Object.entries(schema.properties ?? {});
  return children.flatMap(([key, child]) => {
    const own = [...path, key];
    return [own, ...keyPaths(child, own)];
  });
}
