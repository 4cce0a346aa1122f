// A run's screen for people: lines that stay, and in a terminal live lines below them that are
// redrawn in place. The only state is what has happened and how many live lines are on the screen.
// What is drawn comes from pure renderers.

import type { RunEnd, RunObserver } from "../../run/observer.ts";
import {
  clip,
  evaluationLine,
  headingLines,
  liveLines,
  shotsText,
  stageLine,
  stepLine,
} from "./lines.ts";
import { plotLines } from "./plot.ts";
import { sampleLines, sideBySideLines } from "./rollout.ts";
import type { Decode } from "./rollout.ts";
import { speedLines } from "./speed.ts";
import { startState, withEvalPlan, withEvaluation, withStage, withStep } from "./state.ts";
import type { ScreenState } from "./state.ts";
import { duration, harmless, plural } from "./style.ts";
import type { Style } from "./style.ts";
import { tableLines } from "./table.ts";
import { toolLines } from "./tools.ts";

/** Where a screen is drawn. `live` is true for a terminal that can redraw. */
export interface Output {
  readonly write: (text: string) => void;
  readonly live: boolean;
  readonly columns: () => number;
  readonly style: Style;
}

const PLOT_HEIGHT = 11;

export function peopleObserver(output: Output, decode: Decode): RunObserver {
  let state: ScreenState | undefined;
  const page = new Page(output);
  const advance = (next: ScreenState, lines: readonly string[]): void => {
    state = next;
    page.print(lines, liveLines(next, output.columns() - 1, output.style));
  };
  const print = (lines: readonly string[]): void => page.print(lines, page.live);
  const { style } = output;
  return {
    onStart: (start) => advance(startState(start), [...headingLines(start, style), ""]),
    onStageStart: (stage) => advance(withStage(state!, stage), [stageLine(stage, style)]),
    onStep: (metrics) => advance(withStep(state!, metrics), output.live ? [] : [stepLine(metrics)]),
    onEvalStart: (plan) => advance(withEvalPlan(state!, plan), []),
    onEval: (evaluation, samples) =>
      advance(withEvaluation(state!, evaluation, samples), [evaluationLine(evaluation, style)]),
    onSample: (title, sample) =>
      print([
        style(title, "strong"),
        ...sampleLines(sample, decode, output.columns() - 1, style),
        "",
      ]),
    onMessage({ level, text }) {
      const lines = harmless(text).split("\n");
      print(level === "warning" ? lines.map((line) => style(`warning: ${line}`, "bad")) : lines);
    },
    onEnd(end) {
      page.print(state === undefined ? [] : endLines(state, end, output, decode), []);
    },
  };
}

/** The last page: table, plot, the same question before and after, speed, and where it all is. */
export function endLines(
  state: ScreenState,
  end: RunEnd,
  output: Output,
  decode: Decode,
): string[] {
  const { style } = output;
  const width = output.columns() - 1;
  const blocks = [
    titled("EM by number of demonstrations", tableLines(state.evaluations, width, style), style),
    plotLines(
      state.steps,
      state.evaluations,
      { width: Math.min(width, 100), height: PLOT_HEIGHT },
      style,
    ),
    titled(
      sideTitle(state),
      sideBySideLines(state.shown, decode, Math.min(width, 140), style),
      style,
    ),
    speedLines(state.steps, style),
    toolLines(end.tools ?? []),
    [endLine(end, state, style)],
  ];
  return blocks.flatMap((block) => (block.length > 0 ? [""].concat(block) : []));
}

const titled = (title: string, lines: readonly string[], style: Style): string[] =>
  lines.length === 0 ? [] : [style(title, "faint"), ...lines];

const sideTitle = (state: ScreenState): string =>
  `One held-out question, ${shotsText(state.shown.after?.evaluation.shots ?? 0)}`;

function endLine(end: RunEnd, state: ScreenState, style: Style): string {
  const { outcome, steps, wallSeconds, reason } = end;
  const verdict = style(outcome, outcome === "finished" ? "good" : "bad");
  const why = reason === undefined ? "" : `: ${reason}`;
  const effort = `${plural(steps, "step")} in ${duration(wallSeconds)}`;
  return `${verdict}${why}  ${effort}, recorded in ${state.start.runPath}`;
}

/** Lines that stay, and the live lines under them. */
class Page {
  readonly #output: Output;
  live: readonly string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /**
   * Prints `lines` above, then `live` as the new live lines. One write, so that nothing flickers.
   */
  print(lines: readonly string[], live: readonly string[]): void {
    const erase = this.live.length > 0 ? `\x1b[${this.live.length}A\r\x1b[0J` : "";
    this.live = this.#output.live ? live.map((line) => clip(line, this.#output.columns() - 1)) : [];
    const text = [...lines, ...this.live].map((line) => `${line}\n`).join("");
    if (erase + text !== "") this.#output.write(erase + text);
  }
}
