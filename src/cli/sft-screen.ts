// What `icrl sft` prints: lines for people, or JSON lines whose keys are those of `icrl run` where
// they mean the same.

import type { Evaluation } from "../run/metrics.ts";
import type { SftEnd, SftObserver, SftStart, SftStep } from "../train/sft.ts";
import { evaluationRecord, snakeKeys, summaryEvaluation } from "./screen/json.ts";
import { evaluationLine } from "./screen/lines.ts";
import type { Output } from "./screen/people.ts";
import { count, duration, harmless, plural } from "./screen/style.ts";
import { tableLines } from "./screen/table.ts";

export interface SftScreen extends SftObserver {
  onEnd(end: SftEnd): void;
}

export function jsonScreen(write: (text: string) => void): SftScreen {
  const line = (type: string, value: object): void =>
    write(`${JSON.stringify({ type, ...(snakeKeys(value) as object) })}\n`);
  return {
    onStart: (start) => line("start", start),
    onStep: (step) => line("step", step),
    onEval: (evaluation) => line("eval", evaluationRecord(evaluation)),
    onEnd: ({ evaluations, seconds, ...rest }) =>
      line("summary", { evals: evaluations.map(summaryEvaluation), wall_s: seconds, ...rest }),
  };
}

/** A line each tenth of the steps. */
export function peopleScreen({ write, columns, style }: Output): SftScreen {
  let numSteps = 0;
  const print = (lines: readonly string[]): void => write(`${lines.map(harmless).join("\n")}\n`);
  return {
    onStart(start) {
      numSteps = start.numSteps;
      print(startLines(start));
    },
    onStep(step) {
      const isShown = step.step % Math.ceil(numSteps / 10) === 0 || step.step === numSteps;
      if (isShown) print([stepLine(step, numSteps)]);
    },
    onEval: (evaluation: Evaluation) => write(`${evaluationLine(evaluation, style)}\n`),
    onEnd(end) {
      const table = tableLines(end.evaluations, columns(), style).join("\n");
      const losses = end.epochLosses.map((loss) => loss.toFixed(3)).join(", ");
      print(["", `loss of each epoch: ${losses}`]);
      if (table !== "") write(`\n${table}\n\n`);
      print([`${end.outcome} in ${duration(end.seconds)}: ${end.checkpoint}`]);
    },
  };
}

function startLines({ run, from, counts, examples, options, numSteps }: SftStart): string[] {
  const { rollouts, successful, repeated, questions, tokens } = counts;
  return [
    `${run}: fine-tuning from ${from}`,
    `${successful} of ${rollouts} recorded rollouts are successful, ${repeated} of them repeated`,
    `${examples} to learn from, of ${plural(questions, "question")}, ${count(tokens)} policy tokens`,
    `${plural(options.epochs, "epoch")}, ${plural(numSteps, "step")} of ${options.batchSize} ` +
      `rollouts, learning rate ${options.learningRate}`,
  ];
}

function stepLine({ step, epoch, loss, gradNorm }: SftStep, numSteps: number): string {
  const figures = `loss ${loss.toFixed(3)}, gradient norm ${gradNorm.toFixed(2)}`;
  return `step ${step} of ${numSteps}, epoch ${epoch}: ${figures}`;
}
