// An observer that keeps a run's events in its store, so that whoever reads the run later learns
// what a screen said. Steps and evaluations are not here: the loop writes them with their rollouts.

import type { EventKind, RunEvent } from "./events.ts";
import type { RunObserver } from "./observer.ts";

/** What is needed of a RunStore. */
export interface EventSink {
  writeEvent(event: RunEvent): void;
}

export function recorder(sink: EventSink): RunObserver {
  let step = 0;
  let stage: string | undefined;
  const write = (kind: EventKind, text: string, data?: RunEvent["data"]): void =>
    sink.writeEvent({ kind, step, text, ...(data === undefined ? {} : { data }) });
  const endStage = (): void => {
    if (stage !== undefined) write("stage_end", stage);
    stage = undefined;
  };
  return {
    onStart({ past, recipeName, seed, stages, policyText, deviceText }) {
      step = past.steps.at(-1)?.step ?? 0;
      const names = stages.map(({ name }) => name).join(", ");
      write("run_start", `${recipeName}: ${names}`, { seed, policyText, deviceText });
    },
    onStageStart({ name, shots, steps }) {
      stage = name;
      write("stage_start", name, { shots, steps });
    },
    onStep: (metrics) => void (step = metrics.step),
    onEvalStart: endStage, // evaluations come before the first stage and right after each
    onSample: (title) => write("contract_check", title),
    onMessage: ({ level, text }) => write(level === "warning" ? "warning" : "message", text),
    onEnd({ outcome, reason, steps, wallSeconds }) {
      const text = reason === undefined ? outcome : `${outcome}: ${reason}`;
      write("run_end", text, { outcome, steps, wallSeconds });
    },
  };
}
