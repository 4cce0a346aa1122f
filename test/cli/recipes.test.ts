import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { embeddedRecipes } from "../../src/config/embedded.ts";
import { editorSchema } from "../../src/config/editor-schema.ts";
import { loadRecipe } from "../../src/config/load.ts";
import { TOOL_KINDS } from "../../src/config/tool-recipe.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder } from "../helpers/data-files.ts";

test("icrl recipes lists every embedded recipe with its description", async () => {
  const { stdout } = await icrl(".", "recipes");
  for (const name of Object.keys(embeddedRecipes)) {
    expect(stdout).toContain(`${name} `);
    expect(stdout).toContain(loadRecipe({ source: name }).description);
  }
});

describe("icrl init", () => {
  test("writes a recipe with its comments, which is then that recipe", async () => {
    using folder = dataFolder();
    const { code, stdout } = await icrl(folder.path, "init", "search-r1", "mine.yaml");
    expect([code, stdout]).toEqual([0, "mine.yaml\n\nicrl run --recipe mine.yaml\n"]);
    const path = join(folder.path, "mine.yaml");
    expect(readFileSync(path, "utf8")).toBe(embeddedRecipes["search-r1"]!);
    expect(loadRecipe({ source: path })).toEqual(loadRecipe({ source: "search-r1" }));
  });

  test("never writes over a file", async () => {
    using folder = dataFolder();
    folder.write("nano.yaml", "mine");
    const { code, stderr } = await icrl(folder.path, "init", "nano");
    expect([code, stderr]).toEqual([
      1,
      "icrl: exists already (nano.yaml) - name another file after the recipe\n",
    ]);
    expect(readFileSync(join(folder.path, "nano.yaml"), "utf8")).toBe("mine");
  });

  test("of an unknown name writes nothing and says which was meant", async () => {
    using folder = dataFolder();
    const { stderr } = await icrl(folder.path, "init", "search-qwen2.5-3");
    expect(stderr).toBe(
      'icrl: unknown recipe "search-qwen2.5-3" - did you mean "search-qwen2.5-3b"?\n',
    );
    expect(existsSync(join(folder.path, "search-qwen2.5-3.yaml"))).toBe(false);
  });
});

describe("the schema for editors", () => {
  interface Node {
    readonly properties: Readonly<Record<string, Node>>;
    readonly anyOf?: readonly Readonly<Record<string, unknown>>[];
    readonly additionalProperties?: unknown;
  }
  const schema = editorSchema() as unknown as Node & { readonly required?: unknown };

  test("knows the keys of every embedded recipe, and no others", () => {
    for (const text of Object.values(embeddedRecipes)) {
      const keys = Object.keys(Bun.YAML.parse(text) as object);
      expect(keys.filter((key) => schema.properties[key] === undefined)).toEqual([]);
    }
    expect(schema.additionalProperties).toBe(false);
  });
  test("wants no key that a parent may give, and takes a path for a list of sources", () => {
    expect(schema.required).toBeUndefined();
    const { train } = schema.properties["data"]!.properties;
    expect(train!.anyOf!.map(({ type }) => type)).toEqual(["string", "object", "array"]);
  });
  test("lets a tool be of any kind, change what it inherits, or be taken away", () => {
    const { anyOf } = schema.properties["tool"]!.additionalProperties as Required<Node>;
    expect(anyOf[0]).toEqual({ type: "null" });
    const kinds = anyOf.slice(1) as unknown as readonly Node[];
    expect(kinds.length).toBe(TOOL_KINDS.length);
    for (const kind of kinds) expect(kind).not.toHaveProperty("required");
  });
  test("is what icrl recipes schema prints", async () => {
    const { stdout } = await icrl(".", "recipes", "schema");
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(schema)));
  });
});
