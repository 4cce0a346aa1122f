// A recipe by name or file, with what it extends and the overrides of the command line, checked.
// Errors name file, line and column, or the override. Reads files; the schema is in recipe.ts.

import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { stringify } from "yaml";
import { embeddedDemonstrations, embeddedRecipes } from "./embedded.ts";
import { suggestion, UserError } from "./errors.ts";
import { isMap, merged, overrideLayer, yamlLayer, type Layer, type Path } from "./layer.ts";
import { isOwnWorld } from "./data-recipe.ts";
import { type Recipe, recipeSchema, type SourceRecipe } from "./recipe.ts";
import { schemaError } from "./schema-errors.ts";
import { TOOL_PATHS, type ToolRecipe } from "./tool-recipe.ts";

export interface RecipeRequest {
  /** A name inside the executable, or a path to a YAML file. */
  readonly source: string;
  /** `key=value`, in the order given. */
  readonly overrides?: readonly string[];
}

/** Throws UserError for whatever is wrong with it. */
export function loadRecipe({ source, overrides = [] }: RecipeRequest): Recipe {
  return checked(layersOf(source, process.cwd(), []), overrides);
}

/** As loadRecipe, from a text; `file` is what errors call it, and what `extends` is relative to. */
export function parseRecipe(text: string, file: string, overrides: readonly string[] = []): Recipe {
  return checked(withParent(yamlLayer(text, file), file, []), overrides);
}

/** The recipe with every default written out: parseRecipe of it gives the same recipe. */
export function recipeText(recipe: Recipe): string {
  return stringify(recipe, { blockQuote: false });
}

/** Files that a frozen recipe names, its model's folder too, are found from any folder. */
export function withAbsolutePaths(recipe: Recipe): Recipe {
  const { demonstrations, data, policy, reward, replay } = recipe;
  const absolute = (sources: readonly SourceRecipe[]): SourceRecipe[] =>
    sources.map((each) =>
      isOwnWorld(each.path) ? each : { ...each, path: resolve(each.path) },
    );
  const isFile =
    demonstrations !== undefined &&
    !Object.hasOwn(embeddedDemonstrations, demonstrations) &&
    existsSync(demonstrations);
  const isFolder = policy.model !== "nano" && existsSync(policy.model); // else a name in the cache
  return {
    ...recipe,
    ...(isFolder && { policy: { ...policy, model: resolve(policy.model) } }),
    ...(isFile && { demonstrations: resolve(demonstrations) }),
    ...(replay !== undefined && { replay: resolve(replay) }),
    tool: mapValues(recipe.tool, withAbsoluteToolPaths),
    ...(reward.file !== undefined && { reward: { ...reward, file: resolve(reward.file) } }),
    data: {
      ...data,
      train: absolute(data.train),
      ...(data.validation !== undefined && { validation: absolute(data.validation) }),
    },
  };
}

function withAbsoluteToolPaths(spec: ToolRecipe): ToolRecipe {
  const paths: Record<string, string> = {};
  for (const key of TOOL_PATHS) {
    const path = (spec as Readonly<Record<string, unknown>>)[key];
    if (typeof path === "string") paths[key] = resolve(path);
  }
  return { ...spec, ...paths };
}

function mapValues<V>(map: Readonly<Record<string, V>>, change: (value: V) => V) {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

function checked(layers: readonly Layer[], overrides: readonly string[]): Recipe {
  let value = layers.reduce<unknown>((under, layer) => merged(under, layer.value), {});
  const all = [...layers];
  for (const setting of overrides) {
    const layer = overrideLayer(setting, value);
    value = layer.value;
    all.push(layer);
  }
  const result = recipeSchema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw schemaError(result.error, (path) => lastPlace(all, path));
}

/** The layer that had the last word about a path knows its place. */
function lastPlace(layers: readonly Layer[], path: Path): string | undefined {
  return layers.map((layer) => layer.place(path)).findLast((place) => place !== undefined);
}

/** The layers of a named recipe or a file, what it extends first. */
function layersOf(
  source: string,
  folder: string,
  seen: readonly string[],
  where = "--recipe",
): Layer[] {
  if (Object.hasOwn(embeddedRecipes, source)) {
    const text = embeddedRecipes[source] ?? "";
    return withParent(yamlLayer(text, `${source}.yaml`), folder, [...seen, source]);
  }
  const path = resolve(folder, source);
  if (!existsSync(path)) throw unknownRecipe(source, where);
  return withParent(yamlLayer(readFileSync(path, "utf8"), source), path, [...seen, path]);
}

function withParent(layer: Layer, file: string, seen: readonly string[]): Layer[] {
  if (!isMap(layer.value)) {
    throw new UserError("a recipe is a map of keys", { where: layer.place([]) ?? file });
  }
  const { extends: parent, ...own } = layer.value;
  if (parent === undefined) return [layer];
  const where = layer.place(["extends"]);
  if (typeof parent !== "string") throw new UserError("extends is a name or a file", { where });
  if (seen.includes(parent) || seen.includes(resolve(dirname(file), parent))) {
    throw new UserError(`the recipe extends itself through "${parent}"`, { where });
  }
  return [...layersOf(parent, dirname(file), seen, where), { ...layer, value: own }];
}

function unknownRecipe(source: string, where: string): UserError {
  const isFile = /\.ya?ml$/.test(source);
  const what = isFile ? `there is no file "${source}"` : `unknown recipe "${source}"`;
  const hint = suggestion(source, Object.keys(embeddedRecipes));
  return new UserError(what, { where, hint });
}
