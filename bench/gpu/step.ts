// A whole step, timed: rollouts that search, then the update. Not here: which policy.

import type { Figure } from "../figure.ts";
import { randomPrompts } from "../work.ts";
import type { Opened } from "./policy.ts";
import { sampleStep, type Searcher } from "./rollouts.ts";
import { timeUpdate, type UpdateTiming } from "./update.ts";
import type { SearchShape } from "./work.ts";

export interface Step {
  readonly sampleSeconds: number;
  readonly update: UpdateTiming;
}

export async function takeStep(
  { engine, trainer, policy, twin }: Opened,
  shape: SearchShape,
  searcher: Searcher,
  seed: number,
  hasReference: boolean,
): Promise<Step> {
  const prompts = randomPrompts(shape, policy.config.vocab);
  const start = performance.now();
  const rollouts = await sampleStep(engine, prompts, shape, searcher, seed);
  const sampleSeconds = (performance.now() - start) / 1000;
  const reference = hasReference ? twin : undefined;
  return { sampleSeconds, update: timeUpdate({ trainer, reference, rollouts }) };
}

export function stepFigures(
  { key, what, wanted }: Pick<Figure, "key" | "what" | "wanted">,
  { sampleSeconds, update }: Step,
  note: string,
): Figure[] {
  const value = sampleSeconds + update.seconds;
  return [
    { key, what, value, unit: "s", wanted, note },
    { key: `${key}.sample`, what: "of it, rollouts", value: sampleSeconds, unit: "s" },
    { key: `${key}.update`, what: "of it, update", value: update.seconds, unit: "s" },
  ];
}
