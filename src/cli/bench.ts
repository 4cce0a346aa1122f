// `icrl bench throughput` and `icrl bench gpu`: the speed of this machine, as a table or as JSON.

import { appendFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import type { Figure } from "../../bench/figure.ts";
import type { Suite, SuiteOptions } from "../../bench/suite.ts";
import type { DeviceKind } from "../../ffi/device.ts";
import { parseCount, parseDevice } from "./options.ts";

interface BenchFlags {
  readonly only?: readonly string[];
  readonly against?: boolean;
  readonly llama?: string;
  readonly peers?: string;
  readonly json?: boolean | string;
  readonly repeats: number;
  readonly device: DeviceKind;
  readonly tiny?: boolean;
}

const NAMES = {
  throughput: "limits, step, update, decode, large, large-decode, scaling, stages, start, run",
  gpu: "selftest, precision, update, decode, step, rows, nano, full, lora",
};

export function register(program: Command): void {
  const bench = program.command("bench").description("Measure this machine.");
  withOptions(bench.command("throughput"), NAMES.throughput, "cpu", 5)
    .description("sampling, updates and whole GRPO steps, and what limits them")
    .option("--llama <folder>", "with --against: compare with llama.cpp, installed there by npm")
    .action(async (flags: BenchFlags) => {
      const { THROUGHPUT } = await import("../../bench/throughput.ts");
      await run(THROUGHPUT, flags);
    });
  withOptions(bench.command("gpu"), NAMES.gpu, "cuda", 3)
    .description("self-test and speed of one GPU at the sizes of the paper; bench/gpu.sh does all")
    .action(async (flags: BenchFlags) => {
      const { GPU } = await import("../../bench/gpu/gpu.ts");
      await run(GPU, flags);
    });
}

function withOptions(
  command: Command,
  parts: string,
  device: DeviceKind,
  repeats: number,
): Command {
  const only = `some parts, with commas: ${parts} (default: all)`;
  return command
    .option("--only <parts>", only, (text) => text.split(","))
    .option("--against", "compare with what ICRL_BENCH_PYTHON (or python3) has: TRL, transformers")
    .option("--peers <folder>", "with --against: bench/peers of a checkout, where this is none")
    .option("--json [file]", "one figure a line; with a file, the table is shown too")
    .option("--repeats <n>", "rounds of short measurements", parseCount("--repeats", 1), repeats)
    .option("--device <device>", "cpu or cuda", parseDevice, device)
    .option("--tiny", "sizes that show that everything runs, and measure nothing");
}

async function run<Work>(suite: Suite<Work>, flags: BenchFlags): Promise<void> {
  const { machineFacts, measure } = await import("../../bench/suite.ts");
  const { only = [], against = false, llama, peers, json, repeats, device, tiny = false } = flags;
  const record = recorder(json);
  const showsTable = json !== true;
  record({ type: "machine", ...machineFacts(device) });
  const say = (line: string): void => void process.stderr.write(`icrl: ${line}\n`);
  const python = process.env["ICRL_BENCH_PYTHON"] ?? "python3";
  const options: SuiteOptions = { only, against, llama, peers, python, repeats, device, tiny };
  for await (const figure of measure(suite, options, say)) {
    record({ type: "figure", ...figure });
    if (showsTable) process.stdout.write(await tableLines(figure));
  }
}
/** To a file, to stdout, or nowhere. */
function recorder(json: boolean | string | undefined): (row: object) => void {
  if (json === undefined || json === false) return () => {};
  if (json === true) return (row) => void process.stdout.write(`${JSON.stringify(row)}\n`);
  writeFileSync(json, "");
  return (row) => appendFileSync(json, `${JSON.stringify(row)}\n`);
}

const WIDTHS = [56, 14, 30, 8, 22, 0];

async function tableLines(figure: Figure): Promise<string> {
  const { cells } = await import("../../bench/figure.ts");
  const row = cells(figure);
  const line = WIDTHS.map((width, i) => row[i]!.padEnd(width)).join("").trimEnd();
  const note = row.at(-1);
  return note === "" ? `${line}\n` : `${line}\n    ${note}\n`;
}
