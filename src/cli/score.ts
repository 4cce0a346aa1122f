// `icrl score`: the logprobs of a sequence under a model folder, and the gradients of their mean.
// For people who compare icrl with another implementation; it changes nothing.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import { UserError } from "../config/errors.ts";
import type { FolderSource } from "../model/byte-source.ts";
import type { Score } from "../model/score.ts";
import { parseDevice } from "./options.ts";

interface Options {
  readonly model: string;
  readonly ids?: string;
  readonly textFile?: string;
  readonly device: DeviceKind;
  readonly grad?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("score")
    .description("logprobs (and gradients) of a sequence under a Hugging Face model folder")
    .requiredOption("--model <model>", "a folder, a name in the Hugging Face cache, or nano")
    .option("--ids <list>", "token ids, separated by commas")
    .option("--text-file <file>", "text, encoded with the folder's tokenizer.json")
    .option("--device <kind>", "cpu or cuda", parseDevice, "cpu")
    .option("--grad", "also the gradient of the mean negative logprob, by tensor: norm and sum")
    .option("--json", "one JSON object")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const [{ openFolder }, { scoreIds }, { modelFolder }] = await Promise.all([
    import("../model/weights.ts"),
    import("../model/score.ts"),
    import("../train/models.ts"),
  ]);
  using folder = openFolder(modelFolder(options));
  const ids = await tokenIds(options, folder.source);
  const { Device } = await import("../../ffi/device.ts");
  using device = Device.open(options.device);
  const score = scoreIds(folder, ids, { device, dtype: "f32", grad: options.grad === true });
  process.stdout.write(options.json === true ? `${JSON.stringify(score)}\n` : describe(score));
}

async function tokenIds(options: Options, folder: FolderSource): Promise<number[]> {
  if ((options.ids === undefined) === (options.textFile === undefined)) {
    throw new UserError("give either --ids or --text-file", {
      hint: "--ids 1,2,3 needs no tokenizer",
      exitCode: 2,
    });
  }
  return options.ids === undefined ? encodeFile(folder, options.textFile!) : parseIds(options.ids);
}

export function parseIds(list: string): number[] {
  return list.split(",").map((word) => {
    if (/^\s*\d+\s*$/.test(word)) return Number(word);
    throw new UserError(`"${word.trim()}" is not a token id`, {
      where: "--ids",
      hint: "whole numbers, separated by commas",
      exitCode: 2,
    });
  });
}

async function encodeFile(folder: FolderSource, textFile: string): Promise<number[]> {
  const { openTokenizer } = await import("../model/tokenizer-folder.ts");
  return openTokenizer(folder).encode(readFile(textFile, "give a file that exists"));
}

function readFile(path: string, hint: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new UserError("cannot be read", { where: path, hint });
  }
}

function describe(score: Score): string {
  const tokens = score.ids.map((id, i) => {
    const logprob = score.logprobs[i]?.toFixed(6) ?? "-";
    return `${String(i).padStart(6)} ${String(id).padStart(8)}  ${logprob}\n`;
  });
  const grads = Object.entries(score.grads ?? {}).map(
    ([name, { norm, sum }]) =>
      `${norm.toExponential(6)}  ${sum.toExponential(6).padStart(14)}  ${name}\n`,
  );
  const title = grads.length === 0 ? "" : "\n        norm             sum  gradient\n";
  return `     i       id  logprob\n${tokens.join("")}${title}${grads.join("")}`;
}
