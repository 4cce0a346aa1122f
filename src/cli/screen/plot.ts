// A small plot of shares over steps in text cells, readable without colour: one glyph a series.
// Pure.

import type { Evaluation, StepMetrics } from "../../run/metrics.ts";
import { padEnd } from "./style.ts";
import type { Ink, Style } from "./style.ts";

const GLYPHS = { em: "●", reward: "∘", eval: "◆" } as const;
const AXIS_CELLS = 5; // "1.0 ┤"

interface Cell {
  readonly glyph: string;
  readonly ink: Ink;
}

/**
 * EM and reward of the training rollouts by step, and the fewest-shot EM of each evaluation. Needs
 * two steps.
 */
export function plotLines(
  steps: readonly StepMetrics[],
  evaluations: readonly Evaluation[],
  size: { readonly width: number; readonly height: number },
  style: Style,
): string[] {
  if (steps.length < 2) return [];
  const columns = columnsFor(steps.length, size.width - AXIS_CELLS);
  const grid = new Grid(columns, size.height);
  const columnOf = (step: number): number =>
    Math.min(columns - 1, Math.floor(((step - steps[0]!.step) * columns) / steps.length));
  for (const bin of bins(steps, columns)) {
    grid.put(bin.column, bin.reward, { glyph: GLYPHS.reward, ink: "reward" });
    grid.put(bin.column, bin.em, { glyph: GLYPHS.em, ink: "em" });
  }
  const fewest = Math.min(...evaluations.map(({ shots }) => shots));
  for (const { step, em } of evaluations.filter(({ shots }) => shots === fewest)) {
    grid.put(Math.max(0, columnOf(step)), em, { glyph: GLYPHS.eval, ink: "strong" });
  }
  return [legend(fewest, style), ...grid.lines(style), ...stageAxis(steps, columnOf, columns)];
}

/** One or several columns a step, or several steps a column: a short run is stretched. */
function columnsFor(numSteps: number, room: number): number {
  if (numSteps > room) return room;
  return numSteps * Math.max(1, Math.floor(Math.min(room, 72) / numSteps));
}

function legend(fewest: number, style: Style): string {
  const evalText = Number.isFinite(fewest)
    ? `   ${style(GLYPHS.eval, "strong")} held-out EM, ${fewest}-shot`
    : "";
  const [em, reward] = [style(GLYPHS.em, "em"), style(GLYPHS.reward, "reward")];
  return `     ${em} EM   ${reward} reward in training${evalText}`;
}

/** Steps averaged into columns. */
function bins(
  steps: readonly StepMetrics[],
  columns: number,
): { column: number; em: number; reward: number }[] {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * steps.length) / columns);
    const members = steps.slice(
      from,
      Math.max(from + 1, Math.floor(((column + 1) * steps.length) / columns)),
    );
    const mean = (figure: (step: StepMetrics) => number): number =>
      members.reduce((sum, step) => sum + figure(step), 0) / members.length;
    return { column, em: mean(({ em }) => em), reward: mean(({ reward }) => reward) };
  });
}

/** Cells from 0 at the bottom to 1 at the top. A later put covers an earlier one. */
class Grid {
  readonly #rows: (Cell | undefined)[][];

  constructor(columns: number, height: number) {
    this.#rows = Array.from({ length: height }, () =>
      Array.from({ length: columns }, () => undefined),
    );
  }

  put(column: number, value: number, cell: Cell): void {
    if (Number.isNaN(value)) return;
    const top = this.#rows.length - 1;
    const row = top - Math.round(Math.min(1, Math.max(0, value)) * top);
    this.#rows[row]![column] = cell;
  }

  lines(style: Style): string[] {
    const top = this.#rows.length - 1;
    return this.#rows.map((row, index) => {
      const labelled = index === 0 || index === top || index === Math.round(top / 2);
      const axis = labelled ? `${(1 - index / top).toFixed(1)} ┤` : "    │";
      return (
        axis + row.map((cell) => (cell === undefined ? " " : style(cell.glyph, cell.ink))).join("")
      );
    });
  }
}

/**
 * The bottom line with a tick where a stage starts, and the stages' names under it where they fit.
 */
function stageAxis(
  steps: readonly StepMetrics[],
  columnOf: (step: number) => number,
  columns: number,
): string[] {
  const starts = steps.filter(({ stage }, i) => stage !== steps[i - 1]?.stage);
  const ticks = Array.from({ length: columns }, () => "─");
  for (const { step } of starts) ticks[columnOf(step)] = "┴";
  let names = "";
  for (const { step, stage, shots } of starts) {
    const text = `${stage}: ${shots}`;
    if (columnOf(step) >= names.length && columnOf(step) + text.length <= columns) {
      names = `${padEnd(names, columnOf(step))}${text} `;
    }
  }
  return [`    └${ticks.join("")}`, `     ${names.trimEnd()}`];
}
