// `icrl init`: writes a recipe of the executable into a file, with its comments, or a reward file
// to start from.

import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { suggestion, UserError } from "../config/errors.ts";

export function register(program: Command): void {
  program
    .command("init")
    .description("write an embedded recipe into a file, to change it; or a reward file")
    .argument("<name>", "see icrl recipes; or reward.ts, reward.py")
    .argument("[file]", "a new file (default: <name>.yaml); - for standard output")
    .action(run);
}

async function run(name: string, asked: string | undefined): Promise<void> {
  const { embeddedRecipes, embeddedRewards } = await import("../config/embedded.ts");
  const all: Readonly<Record<string, string>> = { ...embeddedRecipes, ...embeddedRewards };
  const text = Object.hasOwn(all, name) ? all[name] : undefined;
  if (text === undefined) {
    throw new UserError(`unknown recipe "${name}"`, { hint: suggestion(name, Object.keys(all)) });
  }
  const isReward = Object.hasOwn(embeddedRewards, name);
  const file = asked ?? (isReward ? name : `${name}.yaml`);
  if (file === "-") return void process.stdout.write(text);
  writeNew(file, text);
  const next = isReward ? `icrl run --set reward.file=${file}` : `icrl run --recipe ${file}`;
  process.stdout.write(`${file}\n\n${next}\n`);
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
