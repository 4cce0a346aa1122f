// `icrl doctor`: what this machine has, what icrl will use of it, and what to do about what is missing. It changes nothing
// but what a first start would too: the engine is put into the cache folder.
import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import type { Check, Verdict } from "./doctor-checks.ts";
import { parseDevice } from "./options.ts";

interface Options {
  readonly json?: boolean;
  readonly selftest?: boolean;
  readonly device: DeviceKind;
}

export function register(program: Command): void {
  program
    .command("doctor")
    .description("say what was found on this machine, what will be used, and what is missing")
    .option("--json", "one JSON object")
    .option("--selftest", "compare the engine with double-precision references on a tiny model")
    .option("--device <kind>", "the device to test: cpu or cuda", parseDevice, "cpu")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { checkSandbox } = await import("./doctor-sandbox.ts");
  const sandbox = checkSandbox(); // in processes of its own, while the engine is loaded here
  const { checkMachine } = await import("./doctor-checks.ts");
  const { selftest } = await import("./doctor-selftest.ts");
  const checks = [...checkMachine(), await sandbox, ...(options.selftest ? await selftest(options.device) : [])];
  const isFit = checks.every(({ verdict }) => verdict === "ok" || verdict === "note");
  process.stdout.write(options.json ? `${JSON.stringify({ ok: isFit, checks })}\n` : describe(checks));
  process.exitCode = isFit ? 0 : 1;
}

const COLOURS: Readonly<Record<Verdict, string>> = { ok: "32", note: "33", missing: "31", failed: "31" };

function describe(checks: readonly Check[]): string {
  const isColoured = process.stdout.isTTY && !process.env["NO_COLOR"];
  const width = Math.max(...checks.map((check) => check.name.length));
  const lines = checks.map(({ name, verdict, detail, todo }) => {
    const padded = verdict.padEnd(7);
    const shown = isColoured ? `\x1b[${COLOURS[verdict]}m${padded}\x1b[0m` : padded;
    const hint = todo === undefined ? "" : `\n  ${" ".repeat(8 + width)}  -> ${todo}`;
    return `  ${shown} ${name.padEnd(width)}  ${detail}${hint}\n`;
  });
  return lines.join("");
}
