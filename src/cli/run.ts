// `icrl run`: trains the stages of a recipe, or goes on with a run. Options, signals and screens
// are here; the run itself is train/loop.ts.

import type { Command } from "commander";
import type { DeviceKind } from "../../ffi/device.ts";
import { Interrupt } from "./interrupt.ts";
import { collect, parseCount, parseDevice, replayed } from "./options.ts";

interface Options {
  readonly recipe?: string;
  readonly set?: readonly string[];
  readonly seed?: number;
  readonly device?: DeviceKind;
  readonly run?: string;
  readonly replay?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("run")
    .description(
      "train the stages of a recipe (without arguments: the embedded policy, all stages)",
    )
    .argument("[stages]", "stage1, stage2, ... or a range: stage1..3 (default: all that are left)")
    .option("--recipe <name|file>", "an embedded recipe or a YAML file (default: nano)")
    .option("--set <key=value>", "change one value of the recipe; may be repeated", collect)
    .option("--seed <n>", "of data order and sampling", parseCount("--seed", 0))
    .option("--device <kind>", "cpu or cuda (default: the recipe's)", parseDevice)
    .option("--run <folder>", "the run's folder: a new one, or one to go on with")
    .option("--replay <file>", "answer for tools from this recording, and ask none of them")
    .option("--json", "one JSON object a line; the last one is the summary")
    .action(run);
}

async function run(stages: string | undefined, options: Options): Promise<void> {
  const { openRun, describeRun } = await import("../train/open-run.ts");
  const { TrainingLoop } = await import("../train/loop.ts");
  const { openScreen } = await import("./screen/screen.ts");
  const { observeAll } = await import("../run/observer.ts");
  const { recorder } = await import("../run/recorder.ts");
  const { onDevice } = await import("../train/policy-asked.ts");
  const { defaultRecipe } = await import("../config/embedded.ts");
  const { recipe, set = [], seed, device, run: path, replay, json = false } = options;
  const overrides = [...onDevice(device), ...set, ...replayed(replay)];
  await using opened = await openRun({ stages, recipe, overrides, seed, run: path }, defaultRecipe);
  const decode = (ids: ArrayLike<number>): string => opened.session.tokenizer.decode(ids);
  const { stdout: stream, env: environment } = process;
  const screen = openScreen({ json, stream, environment, decode });
  const observer = observeAll([recorder(opened.directory.store), screen]);
  observer.onStart(describeRun(opened));
  using interrupt = new Interrupt((text) => observer.onMessage({ level: "info", text }));
  const shouldStop = (): boolean => interrupt.requested;
  const loop = new TrainingLoop({ ...opened, observer, shouldStop }, opened.checkpoint);
  const end = await loop.run(opened.range);
  if (end.outcome === "interrupted") process.exitCode = 130;
}
