import { expect, test } from "bun:test";
import type { RunEvent } from "../../src/run/events.ts";
import type { StepMetrics } from "../../src/run/metrics.ts";
import type { RunStart } from "../../src/run/observer.ts";
import { recorder } from "../../src/run/recorder.ts";

const start = { recipeName: "tiny", stages: [], past: { steps: [], evaluations: [] } };

test("events are kept in order, with the step after which they happened", () => {
  const events: RunEvent[] = [];
  const observer = recorder({ writeEvent: (event) => void events.push(event) });
  observer.onStart?.(start as unknown as RunStart);
  observer.onStageStart?.({ name: "stage1", shots: 1, steps: 2 });
  observer.onStep?.({ step: 1 } as StepMetrics);
  observer.onMessage?.({ level: "warning", text: "w" });
  observer.onStep?.({ step: 2 } as StepMetrics);
  observer.onEvalStart?.({ stage: "stage1", shots: 0, numSamples: 4 });
  observer.onEvalStart?.({ stage: "stage1", shots: 1, numSamples: 4 });
  observer.onEnd?.({ outcome: "interrupted", reason: "Ctrl-C", steps: 2, wallSeconds: 3 });
  expect(events.map(({ kind, step, text }) => [kind, step, text])).toEqual([
    ["run_start", 0, "tiny: "],
    ["stage_start", 0, "stage1"],
    ["warning", 1, "w"],
    ["stage_end", 2, "stage1"],
    ["run_end", 2, "interrupted: Ctrl-C"],
  ]);
});
