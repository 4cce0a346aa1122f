// The recipe's JSON schema, for editors that complete and check YAML. Looser than the program in
// one way only: a recipe may leave to what it `extends` whatever it likes.

import { z } from "zod";
import { embeddedRecipes } from "./embedded.ts";
import { recipeSchema } from "./recipe.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

export function editorSchema(): JsonSchema {
  const {
    $schema,
    properties,
    required: _inherited,
    ...rest
  } = z.toJSONSchema(recipeSchema, {
    io: "input",
  }) as JsonSchema & { readonly properties: Readonly<Record<string, JsonSchema>> };
  const parent = {
    description: "the recipe that this one changes: a name or a file",
    anyOf: [{ type: "string" }, { enum: Object.keys(embeddedRecipes) }],
  };
  const data = withShortForms(properties["data"]!);
  const tool = withInheritedTools(properties["tool"]!);
  return {
    $schema,
    title: "icrl recipe",
    ...rest,
    properties: { extends: parent, ...properties, data, tool },
  };
}

/** A tool may be taken away, and leave to its parent, or to its name, what kind it is. */
function withInheritedTools({ additionalProperties, ...rest }: JsonSchema): JsonSchema {
  const { oneOf } = additionalProperties as { readonly oneOf: readonly JsonSchema[] };
  const kinds = oneOf.map(({ required: _inherited, ...kind }) => kind);
  return { ...rest, additionalProperties: { anyOf: [{ type: "null" }, ...kinds] } };
}

/** A data source alone, or its path alone, stands for a list of one. */
function withShortForms(data: JsonSchema): JsonSchema {
  const properties = data["properties"] as Readonly<Record<string, JsonSchema>>;
  const short = ({ type, items, minItems, ...rest }: JsonSchema): JsonSchema => {
    const one = [{ type: "string" }, items];
    return { ...rest, anyOf: [...one, { type, minItems, items: { anyOf: one } }] };
  };
  const { train, validation } = properties;
  return {
    ...data,
    properties: { ...properties, train: short(train!), validation: short(validation!) },
  };
}
