// `icrl bench throughput`: the speed of this machine, as a table or as JSON.

import { appendFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import type { Figure } from "../../bench/figure.ts";
import type { DeviceKind } from "../../ffi/device.ts";
import { parseCount, parseDevice } from "./options.ts";

interface BenchFlags {
  readonly only?: readonly string[];
  readonly against?: boolean;
  readonly llama?: string;
  readonly json?: boolean | string;
  readonly repeats: number;
  readonly device: DeviceKind;
  readonly tiny?: boolean;
}

const NAMES =
  "limits, step, update, decode, large, large-decode, scaling, stages, start, run (default: all)";

export function register(program: Command): void {
  const bench = program.command("bench").description("Measure this machine.");
  bench
    .command("throughput")
    .description("sampling, updates and whole GRPO steps, and what limits them")
    .option("--only <parts>", `some parts, with commas: ${NAMES}`, (text) => text.split(","))
    .option("--against", "compare with what ICRL_BENCH_PYTHON (or python3) has: TRL, transformers")
    .option("--llama <folder>", "with --against: compare with llama.cpp, installed there by npm")
    .option("--json [file]", "one figure a line; with a file, the table is shown too")
    .option("--repeats <n>", "rounds of the short measurements", parseCount("--repeats", 1), 5)
    .option("--device <device>", "cpu or cuda", parseDevice, "cpu")
    .option("--tiny", "sizes that show that everything runs, and measure nothing")
    .action(throughput);
}

async function throughput(flags: BenchFlags): Promise<void> {
  const { machineFacts, measure } = await import("../../bench/throughput.ts");
  const { only = [], against = false, llama, json, repeats, device, tiny = false } = flags;
  const record = recorder(json);
  const showsTable = json !== true;
  record({ type: "machine", ...machineFacts(device) });
  const say = (line: string): void => void process.stderr.write(`icrl: ${line}\n`);
  const python = process.env["ICRL_BENCH_PYTHON"] ?? "python3";
  const options = { only, against, llama, python, repeats, device, tiny };
  for await (const figure of measure(options, say)) {
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
