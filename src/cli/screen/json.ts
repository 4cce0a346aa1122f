// `--json`: one JSON object a line, keys in snake_case; the last line is the summary that scripts
// read. Pure but for `write`.

import type { Evaluation } from "../../run/metrics.ts";
import type { RunEnd, RunObserver } from "../../run/observer.ts";

export function jsonObserver(write: (line: string) => void): RunObserver {
  const evaluations: Evaluation[] = [];
  let runPath = "";
  const line = (type: string, value: object): void =>
    write(`${JSON.stringify({ type, ...(snakeKeys(value) as object) })}\n`);
  return {
    onStart(start) {
      const { past, ...rest } = start;
      runPath = start.runPath;
      evaluations.push(...past.evaluations.map(({ evaluation }) => evaluation));
      line("start", rest);
    },
    onStageStart: (stage) => line("stage", stage),
    onStep: (metrics) => line("step", metrics),
    onEval(evaluation) {
      evaluations.push(evaluation);
      line("eval", evaluationRecord(evaluation));
    },
    onMessage: (message) => line("message", message),
    onEnd(end) {
      line("end", { ...end, run: runPath });
      line("summary", summaryRecord(evaluations, end));
    },
  };
}

/** The last line, of fixed keys: every evaluation of the run, in order, and what this call took. */
export function summaryRecord(evaluations: readonly Evaluation[], end: RunEnd): object {
  const evals = evaluations.map(summaryEvaluation);
  return { evals, wall_s: end.wallSeconds, steps: end.steps };
}

export function summaryEvaluation(evaluation: Evaluation) {
  const { stage, shots, em, em_1hop, em_2hop, valid_format, tool_calls } =
    evaluationRecord(evaluation);
  return { stage, shots, em, em_1hop, em_2hop, valid_format, tool_calls };
}

/** `em_1hop` and `em_2hop` are null where the tasks do not say their hops. */
export function evaluationRecord(evaluation: Evaluation) {
  const { stage, shots, em, emByHops, validFormat, toolCalls, numSamples, step, seconds } =
    evaluation;
  const hops = { em_1hop: emByHops["1"] ?? null, em_2hop: emByHops["2"] ?? null };
  return {
    stage,
    shots,
    em,
    ...hops,
    valid_format: validFormat,
    tool_calls: toolCalls,
    num_samples: numSamples,
    step,
    seconds,
  };
}

/** camelCase keys to snake_case, all the way down. */
export function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [snake(key), snakeKeys(inner)]),
  );
}

const snake = (key: string): string =>
  key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
