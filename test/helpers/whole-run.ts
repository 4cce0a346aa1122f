// A run from its request to its end, without a screen, as `icrl run` makes one.

import { observeAll, type RunEnd } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun, type RunRequest } from "../../src/train/open-run.ts";

const NOTHING: RunRequest = {
  stages: undefined,
  recipe: undefined,
  overrides: [],
  seed: undefined,
  run: undefined,
};

/** `stopAfter`: the number of steps after which an end is asked for. */
export async function wholeRun(
  request: Partial<RunRequest>,
  stopAfter = Infinity,
): Promise<RunEnd> {
  await using opened = await openRun({ ...NOTHING, ...request }, "nano");
  let steps = 0;
  const observer = observeAll([{ onStep: () => void steps++ }]);
  const shouldStop = (): boolean => steps >= stopAfter;
  const loop = new TrainingLoop({ ...opened, observer, shouldStop }, opened.checkpoint);
  return await loop.run(opened.range);
}
