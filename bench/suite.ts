// Parts and running them, whichever table they are of. A part has a process of its own, so that its
// peak of resident memory is its own; a single part runs in this one. Not here: which parts a table
// has (throughput.ts, gpu/gpu.ts), what a part measures, and how a figure is shown (figure.ts).

import { cpus, totalmem } from "node:os";
import { isExecutable } from "../ffi/embedded.ts";
import { Device, type DeviceKind, type DeviceLimits } from "../ffi/device.ts";
import { torchVersion } from "../ffi/native.ts";
import { checkoutRoot } from "../ffi/sources.ts";
import { suggestion, UserError } from "../src/config/errors.ts";
import type { Part } from "./bench.ts";
import type { Figure } from "./figure.ts";
import { Opponents } from "./opponents.ts";

/** A table's parts, in its order, and the amounts of work that they are given. */
export interface Suite<Work> {
  readonly name: string; // as in `icrl bench <name>`
  readonly parts: Readonly<Record<string, Part<Work>>>;
  readonly full: Work;
  readonly tiny: Work;
}

export interface SuiteOptions {
  readonly only: readonly string[]; // all where empty
  readonly device: DeviceKind;
  readonly repeats: number;
  readonly tiny: boolean;
  readonly against: boolean;
  readonly llama: string | undefined;
  readonly python: string;
  /** The folder of the Python opponents; absent: that of the checkout. */
  readonly peers?: string | undefined;
}

/** Figures as they are measured. `say` hears a line when something can't be compared. */
export async function* measure<Work>(
  suite: Suite<Work>,
  options: SuiteOptions,
  say: (line: string) => void,
): AsyncGenerator<Figure, void> {
  const names = options.only.length === 0 ? Object.keys(suite.parts) : options.only;
  const parts = names.map((name) => partOf(suite, name));
  if (parts.length > 1) {
    for (const name of names) yield* inOwnProcess(suite.name, name, options);
    return;
  }
  const { device, repeats, tiny } = options;
  const opponents = new Opponents(options, say);
  const limits = (): DeviceLimits => limitsOf(device);
  const work = tiny ? suite.tiny : suite.full;
  yield* await parts[0]!({ device, repeats, work, opponents, limits });
}

function limitsOf(kind: DeviceKind): DeviceLimits {
  using device = Device.open(kind);
  return device.measureLimits();
}

function partOf<Work>({ parts }: Suite<Work>, name: string): Part<Work> {
  const part = parts[name];
  if (part !== undefined) return part;
  const hint = suggestion(name, Object.keys(parts));
  throw new UserError(`there is no part "${name}"`, { where: "--only", hint, exitCode: 2 });
}

async function* inOwnProcess(
  suite: string,
  name: string,
  { device, repeats, tiny, against, llama, peers }: SuiteOptions,
): AsyncGenerator<Figure, void> {
  const flags = [
    "--json",
    `--only=${name}`,
    `--device=${device}`,
    `--repeats=${repeats}`,
    ...(tiny ? ["--tiny"] : []),
    ...(against ? ["--against"] : []),
    ...(llama === undefined ? [] : [`--llama=${llama}`]),
    ...(peers === undefined ? [] : [`--peers=${peers}`]),
  ];
  const command = [...thisProgram(), "bench", suite, ...flags];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit", stdin: "ignore" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new UserError(`the part "${name}" failed`);
  const rows = text.trim().split("\n").map((line) => JSON.parse(line) as { type: string });
  for (const row of rows) if (row.type === "figure") yield row as unknown as Figure;
}

/** The command that this process is: the executable, or bun with the sources. */
export function thisProgram(): readonly string[] {
  return [process.execPath, ...(isExecutable() ? [] : [`${checkoutRoot()}/src/main.ts`])];
}

/** What the figures are of. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly isa: string;
  readonly torch: string;
  readonly commit: string;
  /** On CUDA. */
  readonly gpu?: string;
}

export function machineFacts(kind: DeviceKind): MachineFacts {
  using device = Device.open(kind);
  const { isa, total_bytes: gpuBytes = 0 } = device.describe();
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    isa,
    torch: torchVersion(),
    commit: process.env["ICRL_BENCH_COMMIT"] ?? commitHere(),
    ...(kind === "cuda" ? { gpu: gpuText(gpuBytes) } : {}),
  };
}

function commitHere(): string {
  if (isExecutable()) return "";
  const git = ["git", "-C", checkoutRoot(), "rev-parse", "--short", "HEAD"];
  return Bun.spawnSync(git).stdout.toString().trim();
}

/** "NVIDIA H200, driver 580.1, 140 GiB": what nvidia-smi says, where it is there. */
function gpuText(bytes: number): string {
  const query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"];
  const found = Bun.which("nvidia-smi") === null ? undefined : Bun.spawnSync(query);
  const [name = "CUDA device", driver] = found?.stdout.toString().split("\n")[0]?.split(", ") ?? [];
  const memory = `${(bytes / 2 ** 30).toFixed(0)} GiB`;
  return [name, ...(driver === undefined ? [] : [`driver ${driver}`]), memory].join(", ");
}
