// `icrl init`: writes a recipe of the executable into a file, with its comments.

import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { suggestion, UserError } from "../config/errors.ts";

export function register(program: Command): void {
  program
    .command("init")
    .description("write an embedded recipe into a file, to change it")
    .argument("<name>", "see icrl recipes")
    .argument("[file]", "a new file (default: <name>.yaml); - for standard output")
    .action(run);
}

async function run(name: string, file = `${name}.yaml`): Promise<void> {
  const { embeddedRecipes } = await import("../config/embedded.ts");
  const text = Object.hasOwn(embeddedRecipes, name) ? embeddedRecipes[name] : undefined;
  if (text === undefined) {
    const hint = suggestion(name, Object.keys(embeddedRecipes));
    throw new UserError(`unknown recipe "${name}"`, { hint });
  }
  if (file === "-") return void process.stdout.write(text);
  writeNew(file, text);
  process.stdout.write(`${file}\n\nicrl run --recipe ${file}\n`);
}

/** Never over a file that is there. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") throw new UserError(`cannot be written: ${message}`, { where: file });
    throw new UserError("exists already", {
      where: file,
      hint: "name another file after the recipe",
    });
  }
}
