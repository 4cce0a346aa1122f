// The whole table: which parts there are, and running them. A part has a process of its own, so
// that its peak of resident memory is its own; a single part runs in this one. Not here: what a
// part measures (parts/), and how a figure is shown (figure.ts).

import { cpus, totalmem } from "node:os";
import { isExecutable } from "../ffi/embedded.ts";
import { Device, type DeviceKind, type DeviceLimits } from "../ffi/device.ts";
import { torchVersion } from "../ffi/native.ts";
import { checkoutRoot } from "../ffi/sources.ts";
import { suggestion, UserError } from "../src/config/errors.ts";
import type { Part } from "./bench.ts";
import type { Figure } from "./figure.ts";
import { Opponents } from "./opponents.ts";
import { decode } from "./parts/decode.ts";
import { large } from "./parts/large.ts";
import { largeDecode } from "./parts/large-decode.ts";
import { limits } from "./parts/limits.ts";
import { scaling } from "./parts/scaling.ts";
import { stages } from "./parts/stages.ts";
import { stagesRun, start } from "./parts/start.ts";
import { step } from "./parts/step.ts";
import { updates } from "./parts/update.ts";
import { FULL, TINY } from "./shapes.ts";

/** In the order of the table. */
export const PARTS: Readonly<Record<string, Part>> = {
  limits,
  step,
  update: updates,
  decode,
  large,
  "large-decode": largeDecode,
  scaling,
  stages,
  start,
  run: stagesRun,
};

export interface ThroughputOptions {
  readonly only: readonly string[]; // all where empty
  readonly device: DeviceKind;
  readonly repeats: number;
  readonly tiny: boolean;
  readonly against: boolean;
  readonly llama: string | undefined;
  readonly python: string;
}

/** Figures as they are measured. `say` hears a line when something can't be compared. */
export async function* measure(
  options: ThroughputOptions,
  say: (line: string) => void,
): AsyncGenerator<Figure, void> {
  const names = options.only.length === 0 ? Object.keys(PARTS) : options.only;
  const parts = names.map(partOf);
  if (parts.length > 1) {
    for (const name of names) yield* inOwnProcess(name, options);
    return;
  }
  const { device, repeats, tiny } = options;
  const opponents = new Opponents(options, say);
  const limits = (): DeviceLimits => limitsOf(device);
  yield* await parts[0]!({ device, repeats, work: tiny ? TINY : FULL, opponents, limits });
}

function limitsOf(kind: DeviceKind): DeviceLimits {
  using device = Device.open(kind);
  return device.measureLimits();
}

function partOf(name: string): Part {
  const part = PARTS[name];
  if (part !== undefined) return part;
  const hint = suggestion(name, Object.keys(PARTS));
  throw new UserError(`there is no part "${name}"`, { where: "--only", hint, exitCode: 2 });
}

async function* inOwnProcess(
  name: string,
  { device, repeats, tiny, against, llama }: ThroughputOptions,
): AsyncGenerator<Figure, void> {
  const program = isExecutable() ? [] : [`${checkoutRoot()}/src/main.ts`];
  const flags = [
    "--json",
    `--only=${name}`,
    `--device=${device}`,
    `--repeats=${repeats}`,
    ...(tiny ? ["--tiny"] : []),
    ...(against ? ["--against"] : []),
    ...(llama === undefined ? [] : [`--llama=${llama}`]),
  ];
  const command = [process.execPath, ...program, "bench", "throughput", ...flags];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit", stdin: "ignore" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new UserError(`the part "${name}" failed`);
  const rows = text.trim().split("\n").map((line) => JSON.parse(line) as { type: string });
  for (const row of rows) if (row.type === "figure") yield row as unknown as Figure;
}

/** What the figures are of. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly isa: string;
  readonly torch: string;
  readonly commit: string;
}

export function machineFacts(kind: DeviceKind): MachineFacts {
  using device = Device.open(kind);
  const git = ["git", "-C", checkoutRoot(), "rev-parse", "--short", "HEAD"];
  const commit = isExecutable() ? "" : Bun.spawnSync(git).stdout.toString().trim();
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    isa: device.describe().isa,
    torch: torchVersion(),
    commit,
  };
}
