// The table at the end of a run: EM by number of demonstrations, before and after each stage. Pure.

import type { Evaluation } from "../../run/metrics.ts";
import { cells, padEnd, padStart, share } from "./style.ts";
import type { Style } from "./style.ts";

/**
 * One row a number of shots, one EM column a stage; then what the last stage reached. Empty without
 * evaluations.
 */
export function tableLines(
  evaluations: readonly Evaluation[],
  width: number,
  style: Style,
): string[] {
  if (evaluations.length === 0) return [];
  const stages = unique(evaluations.map(({ stage }) => stage));
  const shots = unique(evaluations.map((each) => each.shots)).toSorted((a, b) => a - b);
  const full = columnsOf(evaluations, stages);
  const narrow = columnsOf(evaluations, [stages[0]!, ...stages.slice(1).slice(-1)]);
  const lines = layout(full, shots, style);
  return cells(lines[0]!) <= width ? lines : layout(narrow, shots, style);
}

interface Column {
  readonly title: string;
  readonly cell: (shots: number) => string;
}

function columnsOf(evaluations: readonly Evaluation[], stages: readonly string[]): Column[] {
  const find = (stage: string, shots: number): Evaluation | undefined =>
    evaluations.findLast((each) => each.stage === stage && each.shots === shots);
  const last = stages.at(-1)!;
  const hops = unique(evaluations.flatMap((each) => Object.keys(each.emByHops)));
  return [
    ...stages.map((stage) => ({
      title: `EM ${stage}`,
      cell: (shots: number) => share(find(stage, shots)?.em, 3),
    })),
    ...hops.map((hop) => ({
      title: `${hop}-hop`,
      cell: (shots: number) => share(find(last, shots)?.emByHops[hop], 3),
    })),
    { title: "format", cell: (shots) => share(find(last, shots)?.validFormat, 3) },
    {
      title: "calls",
      cell: (shots) => arrow(find(stages[0]!, shots)?.toolCalls, find(last, shots)?.toolCalls),
    },
  ];
}

const arrow = (before: number | undefined, after: number | undefined): string =>
  `${share(before, 1)} → ${share(after, 1)}`;

function layout(columns: readonly Column[], shots: readonly number[], style: Style): string[] {
  const first = "demonstrations";
  const widths = columns.map(({ title, cell }) =>
    Math.max(cells(title), ...shots.map((each) => cells(cell(each)))),
  );
  const row = (head: string, texts: readonly string[]): string =>
    [padEnd(head, cells(first)), ...texts.map((text, i) => padStart(text, widths[i]!))].join("  ");
  const title = row(
    first,
    columns.map((column) => column.title),
  );
  return [
    style(title, "strong"),
    ...shots.map((each) =>
      row(
        String(each),
        columns.map(({ cell }) => cell(each)),
      ),
    ),
  ];
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
