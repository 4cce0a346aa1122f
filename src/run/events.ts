// What happened in a run besides steps and evaluations, as the event log keeps it. Data only.

export type EventKind =
  | "run_start"
  | "run_resume"
  | "stage_start"
  | "stage_end"
  | "gate" // the next stage waited for its gate, or gave up
  | "checkpoint"
  | "contract_check"
  | "sft_step" // a step of fine-tuning, with its loss
  | "warning"
  | "message"
  | "run_end";

export interface RunEvent {
  readonly kind: EventKind;
  readonly step: number; // steps done when it happened
  readonly text: string; // one line for people
  readonly data?: Readonly<Record<string, unknown>>;
}
/** An event as read back. `atMs` is the writer's clock. */
export interface StoredEvent extends RunEvent {
  readonly id: number;
  readonly atMs: number;
}
