// `icrl bench throughput`: the speed of this machine, as a table or as JSON.
import type { Command } from "commander";
import type { ThroughputRow } from "../../bench/throughput.ts";
import type { DeviceKind } from "../../ffi/device.ts";
import { parseDevice } from "./options.ts";

interface BenchFlags {
  readonly json?: boolean;
  readonly device: DeviceKind;
}

export function register(program: Command): void {
  const bench = program.command("bench").description("Measure this machine.");
  bench
    .command("throughput")
    .description("tokens a second in prefill, decode and update, and a whole GRPO step")
    .option("--device <device>", "cpu or cuda", parseDevice, "cpu")
    .option("--json", "one line a policy")
    .action(throughput);
}

async function throughput(flags: BenchFlags): Promise<void> {
  const { CASES, measureThroughput } = await import("../../bench/throughput.ts");
  if (!flags.json) process.stdout.write(`${HEADINGS.map(pad).join("")}\n`);
  for (const work of CASES) {
    const row = await measureThroughput(work, flags.device);
    process.stdout.write(flags.json ? `${JSON.stringify({ type: "throughput", ...row })}\n` : `${line(row)}\n`);
  }
  if (!flags.json) process.stdout.write(NOTE);
}

const HEADINGS = ["policy", "prefill tok/s", "decode tok/s", "update tok/s", "trie ratio", "step s", "tensors MiB"];
const NOTE =
  "\nA step: prompts are sampled and trained on once. Update tokens are counted as separate rows; the trie ratio is\n" +
  "how many of those rows each computed token stands for. Decode includes everything between two forwards.\n";

function line(row: ThroughputRow): string {
  const { prompts, samples, shared, own, sampled } = row.shape;
  const cells = [
    row.policy,
    row.prefillTokensPerSecond.toFixed(0),
    row.decodeTokensPerSecond.toFixed(0),
    row.updateTokensPerSecond.toFixed(0),
    row.trieRatio.toFixed(2),
    row.stepSeconds.toFixed(3),
    (row.peakBytes / 2 ** 20).toFixed(0),
  ];
  const work = `  ${prompts} x ${samples}, ${shared} shared + ${own} own + ${sampled} sampled`;
  return cells.map(pad).join("") + work;
}

const pad = (text: string): string => text.padEnd(15);
