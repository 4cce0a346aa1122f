// What `icrl eval` says: a table with one column a benchmark, figures in per cent as papers print
// them, and the same as a JSON record. Pure.

import type { Evaluation } from "../run/metrics.ts";
import type { Accuracies } from "../train/benchmark.ts";
import type { BenchmarkReport, EvaluationReport } from "../train/evaluate-benchmarks.ts";
import { LEVEL, type Estimate } from "../train/statistics.ts";
import { evaluationRecord } from "./screen/json.ts";
import { harmless, padEnd, padStart, plural } from "./screen/style.ts";

type Report = EvaluationReport;

/** Keys of `icrl run`'s evaluations, over all questions; then what they do not have. */
export function reportRecord(report: Report) {
  const { pooled, mode, samplesPerQuestion, temperature, benchmarks, average } = report;
  const record = evaluationRecord(evaluationOf(report));
  return {
    ...record,
    valid_format: mode === "icrl" ? record.valid_format : null,
    mode,
    samples_per_question: samplesPerQuestion,
    temperature,
    ...accuracyRecord(pooled.accuracies),
    ...rolloutRecord(pooled),
    interval_level: LEVEL,
    benchmarks: benchmarks.map((benchmark) => benchmarkRecord(benchmark, mode)),
    average: accuracyRecord(average),
  };
}

function evaluationOf({ stage, step, shots, seconds, pooled }: Report): Evaluation {
  const { numSamples, accuracies, emByHops, rollouts, searches } = pooled;
  const { validFormat, callsByTool } = rollouts;
  const calls = { toolCalls: searches, callsByTool };
  const figures = { em: accuracies.em.value, emByHops, validFormat, ...calls };
  return { stage, step, shots, numSamples, ...figures, seconds };
}

/** `em` and `avg_at_k` are the same figure: exact match over all samples of a question. */
function accuracyRecord({ em, f1, coverEm }: Accuracies<Estimate>) {
  const interval = ({ low, high }: Estimate): [number, number] => [low, high];
  return {
    em: em.value,
    avg_at_k: em.value,
    em_interval: interval(em),
    f1: f1.value,
    f1_interval: interval(f1),
    cover_em: coverEm.value,
    cover_em_interval: interval(coverEm),
  };
}

function rolloutRecord({ answered, rollouts, searchFailures }: BenchmarkReport) {
  return {
    answered,
    tool_failures: searchFailures,
    response_tokens: rollouts.responseTokens.mean,
    finish_turns: rollouts.finishTurns,
    finish_reasons: rollouts.finishReasons,
  };
}

function benchmarkRecord(benchmark: BenchmarkReport, mode: Report["mode"]) {
  const { name, numQuestions, numSamples, accuracies, rollouts, searches, emByHops } = benchmark;
  return {
    name,
    num_questions: numQuestions,
    num_samples: numSamples,
    ...accuracyRecord(accuracies),
    em_by_hops: emByHops,
    valid_format: mode === "icrl" ? rollouts.validFormat : null,
    tool_calls: searches,
    ...rolloutRecord(benchmark),
  };
}

export function reportText(report: Report): string {
  const { stage, step, mode, shots, samplesPerQuestion, temperature } = report;
  const asked = [
    `${stage} (step ${step})`,
    mode === "icrl" ? `mode icrl, ${plural(shots, "demonstration")}` : `mode ${mode}`,
    `${plural(samplesPerQuestion, "sample")} a question`,
    `temperature ${temperature}`,
  ];
  const head = `${asked.join(", ")}; scores and shares in %`;
  return [head, "", ...tableLines(report), ...notesOf(report)].map(harmless).join("\n");
}

function notesOf({ benchmarks }: Report): string[] {
  const some = benchmarks.some(({ accuracies }) => Object.values(accuracies).some(isCertain));
  return some ? ["", "interval -: every question has the same score, so none can be told"] : [];
}

/** The bootstrap of equal values has no width, which would say too much. */
const isCertain = ({ low, high }: Estimate): boolean => low === high;

/** A row of the table: its title, a cell for each benchmark and one for their average. */
interface Row {
  readonly title: string;
  readonly cells: readonly string[];
  readonly average: string;
}

function tableLines(report: Report): string[] {
  const { benchmarks } = report;
  const head = { title: "", cells: benchmarks.map(({ name }) => name), average: "average" };
  const rows = [head, ...rowsOf(report)].map(({ title, cells, average }) => ({
    title,
    cells: benchmarks.length > 1 ? [...cells, average] : cells,
  }));
  const titleWidth = Math.max(...rows.map(({ title }) => Bun.stringWidth(title)));
  const widths = rows[0]!.cells.map((_, column) =>
    Math.max(...rows.map(({ cells }) => Bun.stringWidth(cells[column]!))),
  );
  return rows.map(({ title, cells }) =>
    [padEnd(title, titleWidth), ...cells.map((cell, i) => padStart(cell, widths[i]!))]
      .join("  ")
      .trimEnd(),
  );
}

function rowsOf(report: Report): Row[] {
  const { mode, benchmarks, samplesPerQuestion: k } = report;
  const hops = unique(benchmarks.flatMap(({ emByHops }) => Object.keys(emByHops)));
  const figure = (title: string, of: (one: BenchmarkReport) => number, digits = 1): Row =>
    meanRow(title, benchmarks.map(of), (value) => value.toFixed(digits));
  const share = (title: string, of: (one: BenchmarkReport) => number): Row =>
    figure(title, (one) => 100 * of(one));
  return [
    { ...figure("questions", (one) => one.numQuestions, 0), average: "" },
    ...accuracyRows(report, k === 1 ? "EM" : `EM, avg@${k}`, "em"),
    ...accuracyRows(report, "F1", "f1"),
    ...accuracyRows(report, "cover EM", "coverEm"),
    ...hops.map((hop) => share(`EM, ${hop}-hop`, (one) => one.emByHops[hop] ?? Number.NaN)),
    share("answered", (one) => one.answered),
    ...(mode === "icrl" ? [share("valid format", (one) => one.rollouts.validFormat)] : []),
    figure("searches a rollout", (one) => one.searches, 2),
    { ...figure("searches that failed", (one) => one.searchFailures, 0), average: "" },
    figure("tokens of a response", (one) => one.rollouts.responseTokens.mean, 0),
    ...turnRows(benchmarks, share),
  ];
}

function accuracyRows(report: Report, title: string, name: keyof Accuracies<Estimate>): Row[] {
  const all = report.benchmarks.map(({ accuracies }) => accuracies[name]);
  const row = (head: string, cell: (estimate: Estimate) => string): Row => ({
    title: head,
    cells: all.map(cell),
    average: cell(report.average[name]),
  });
  const percent = (value: number): string => (100 * value).toFixed(1);
  return [
    row(title, ({ value }) => percent(value)),
    row(`  ${100 * LEVEL} % interval`, (estimate) =>
      isCertain(estimate) ? "-" : `${percent(estimate.low)}-${percent(estimate.high)}`,
    ),
  ];
}

/** The share of rollouts that ended in each turn. */
function turnRows(
  benchmarks: readonly BenchmarkReport[],
  share: (title: string, of: (one: BenchmarkReport) => number) => Row,
): Row[] {
  const most = Math.max(...benchmarks.map(({ rollouts }) => rollouts.finishTurns.length));
  return Array.from({ length: most }, (_, turn) =>
    share(`ended in turn ${turn + 1}`, ({ rollouts, numSamples }) => {
      return (rollouts.finishTurns[turn] ?? 0) / numSamples;
    }),
  );
}

/** "-" where a benchmark has no such figure; their mean then has none either. */
function meanRow(title: string, values: readonly number[], text: (value: number) => string): Row {
  const cell = (value: number): string => (Number.isNaN(value) ? "-" : text(value));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { title, cells: values.map(cell), average: cell(mean) };
}

const unique = (values: readonly string[]): string[] => [...new Set(values)].toSorted();
