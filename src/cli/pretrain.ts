// `icrl pretrain nano`: makes the embedded policy from a seed, as a Hugging Face folder. About
// half an hour on two idle cores. Not needed to use icrl: the result is inside the
// executable.

import { type Command, InvalidArgumentError } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import type { PretrainStep } from "../train/pretrain.ts";
import { parseDevice } from "./options.ts";

interface Options {
  readonly out: string;
  readonly steps: number;
  readonly seed: number;
  readonly device: DeviceKind;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("pretrain")
    .description("make the embedded policy from a seed")
    .addArgument(program.createArgument("<model>", "what to make").choices(["nano"]))
    .option("--out <folder>", "where the model folder goes", "nano")
    .option("--steps <n>", "optimizer steps of 8,448 tokens", wholeNumber, 2400)
    .option("--seed <n>", "of the documents and the first weights", wholeNumber, 1)
    .option("--device <kind>", "cpu or cuda", parseDevice, "cpu")
    .option("--json", "one line a step")
    .action((_: string, options: Options) => run(options));
}

async function run({ out, steps, seed, device: kind, json = false }: Options): Promise<void> {
  const { Device } = await import("../../ffi/device.ts");
  const { nanoTokenizer } = await import("../data/pretraining/nano.ts");
  const { pretrainNano, saveNano } = await import("../train/pretrain.ts");
  const { createTokenizer } = await import("../model/tokenizer.ts");
  if (!json) process.stdout.write("tokenizer ...\n");
  const tokenizerJson = nanoTokenizer(seed);
  using device = Device.open(kind);
  const report = json ? reportJson : reporter(steps);
  using policy = await pretrainNano(
    device,
    createTokenizer(tokenizerJson),
    { seed, steps },
    report,
  );
  saveNano(policy, tokenizerJson, out);
  process.stdout.write(
    json ? `${JSON.stringify({ type: "saved", folder: out })}\n` : `\nsaved ${out}\n`,
  );
}

const reportJson = (step: PretrainStep): void => {
  process.stdout.write(`${JSON.stringify({ type: "step", ...step })}\n`);
};

/** One line that is written over on a terminal; elsewhere a line every 50 steps. */
function reporter(steps: number): (step: PretrainStep) => void {
  const start = performance.now();
  return ({ step, loss }) => {
    if (!process.stdout.isTTY && step % 50 !== 0 && step !== steps) return;
    const secondsLeft = Math.round(((performance.now() - start) / 1000 / step) * (steps - step));
    const left = `${Math.floor(secondsLeft / 60)}:${String(secondsLeft % 60).padStart(2, "0")} left`;
    const line = `step ${step}/${steps}  loss ${loss.toFixed(4)}  ${left}`;
    process.stdout.write(process.stdout.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
  };
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= 0xffff_ffff) return Number(text);
  throw new InvalidArgumentError("A whole number is wanted.");
}
