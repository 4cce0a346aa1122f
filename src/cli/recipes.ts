// `icrl recipes`: what is inside the executable, and the schema of recipes for editors.

import type { Command } from "commander";

export function register(program: Command): void {
  const recipes = program
    .command("recipes")
    .description("list the recipes inside the executable")
    .option("--json", "one JSON list")
    .action(list);
  recipes
    .command("schema")
    .description("print the JSON schema of recipes, for editors")
    .action(schema);
}

async function list({ json }: { readonly json?: boolean }): Promise<void> {
  const { embeddedRecipes } = await import("../config/embedded.ts");
  const { loadRecipe } = await import("../config/load.ts");
  const recipes = Object.keys(embeddedRecipes).map((name) => {
    const { description, policy } = loadRecipe({ source: name });
    return { name, description, model: policy.model };
  });
  process.stdout.write(json === true ? `${JSON.stringify(recipes)}\n` : table(recipes));
}

function table(
  recipes: readonly { readonly name: string; readonly description: string }[],
): string {
  const width = Math.max(...recipes.map(({ name }) => name.length));
  const lines = recipes.map(({ name, description }) => `${name.padEnd(width)}  ${description}\n`);
  return `${lines.join("")}\n\`icrl init NAME\` writes one into a file, to change it\n`;
}

async function schema(): Promise<void> {
  const { editorSchema } = await import("../config/editor-schema.ts");
  process.stdout.write(`${JSON.stringify(editorSchema(), null, 2)}\n`);
}
