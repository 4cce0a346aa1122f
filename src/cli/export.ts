// `icrl export`: a run's policy as a model folder of its own, which transformers and inference
// engines load as it is; or its adapter alone, for PEFT. The run stays as it was.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Option, type Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { FolderSource } from "../model/byte-source.ts";
import type { ExportDtype } from "../model/export.ts";

interface Options {
  readonly out: string;
  readonly dtype?: ExportDtype;
  readonly adapter?: boolean;
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
    .option("--adapter", "what was trained with train.lora alone, as a folder that PEFT loads")
    .action(run);
}

async function run(spec: string, { out, dtype, adapter = false }: Options): Promise<void> {
  const { checkpointFolder } = await import("../train/checkpoint-folder.ts");
  refuseExisting(out);
  const { stage, step, weights } = checkpointFolder(spec);
  const written = await (adapter ? exportAdapter : exportMerged)(weights, out, dtype);
  process.stdout.write(`${out}  ${stage} (step ${step}), ${written}\n`);
}

async function exportMerged(weights: FolderSource, out: string, dtype?: ExportDtype) {
  const { exportFolder } = await import("../model/export.ts");
  return exportFolder(weights, out, dtype);
}

async function exportAdapter(weights: FolderSource, out: string, dtype?: ExportDtype) {
  const { diskFolder } = await import("../model/byte-source.ts");
  const { ADAPTER } = await import("../train/checkpoint.ts");
  const { adapterBase, exportAdapter: write } = await import("../model/export-adapter.ts");
  const path = join(weights.name, ADAPTER);
  if (!existsSync(path)) {
    const hint = "leave --adapter out for the whole model; train.lora trains adapters";
    throw new UserError("no adapter was trained here", { where: weights.name, hint });
  }
  const source = diskFolder(path);
  return `${write(source, out, dtype)}, an adapter of ${adapterBase(source)}`;
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
