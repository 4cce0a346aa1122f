// `icrl export`: a run's policy as a model folder of its own, which transformers and inference
// engines load as it is. The run stays as it was.

import { existsSync, readdirSync } from "node:fs";
import { Option, type Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { ExportDtype } from "../model/export.ts";

interface Options {
  readonly out: string;
  readonly dtype?: ExportDtype;
}

export function register(program: Command): void {
  program
    .command("export")
    .description("write a run's policy as a folder that transformers loads as it is")
    .argument("<run>", "a run; folder@stage2 for one checkpoint, folder@base before training")
    .requiredOption("--out <folder>", "a new folder")
    .addOption(
      new Option("--dtype <dtype>", "of the weights (default: as they are)").choices([
        "bf16",
        "f32",
      ]),
    )
    .action(run);
}

async function run(spec: string, { out, dtype }: Options): Promise<void> {
  const { exportFolder } = await import("../model/export.ts");
  const { checkpointFolder } = await import("../train/checkpoint-folder.ts");
  refuseExisting(out);
  const { stage, step, weights } = checkpointFolder(spec);
  const written = exportFolder(weights, out, dtype);
  process.stdout.write(`${out}  ${stage} (step ${step}), ${written}\n`);
}

/** A folder that is there may hold something else: it is not replaced. */
function refuseExisting(out: string): void {
  if (!existsSync(out) || isEmptyFolder(out)) return;
  throw new UserError("exists already", { where: out, hint: "name a new folder with --out" });
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false; // a file
  }
}
