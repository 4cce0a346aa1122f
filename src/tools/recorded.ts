// How a recording stands in front of a tool. In mode `record` an answer that is not there is asked
// for and kept; in `replay` nothing is ever asked for.

import type { AnswerKey, Recording } from "./recording.ts";
import type { Tool } from "./tool.ts";

/** A tool whose answers can be recorded. */
export interface RecordableTool extends Tool {
  /** The tool's kind, and the settings that change its answers. No secrets. */
  readonly identity: {
    readonly kind: string;
    readonly settings: Readonly<Record<string, unknown>>;
  };
  /** What is asked, without what makes no difference. Throws InvalidCallError. */
  normalise(input: string): string;
}

export type RecordingMode = "record" | "replay";

export interface Memory {
  readonly recording: Recording;
  readonly mode: RecordingMode;
  /** Throws InvalidCallError. */
  keyOf(input: string): AnswerKey;
}

export function memoryOf(tool: RecordableTool, recording: Recording, mode: RecordingMode): Memory {
  const { kind, settings } = tool.identity;
  const text = JSON.stringify(settings);
  const keyOf = (input: string) => ({ kind, settings: text, input: tool.normalise(input) });
  return { recording, mode, keyOf };
}
