// Single lines of a run's screen: heading, stage, step, evaluation, progress bar. Pure: data in,
// text out.

import { bytesText } from "../../config/bytes.ts";
import type { Evaluation, StepMetrics } from "../../run/metrics.ts";
import type { EvalPlan, RunStart, StagePlan } from "../../run/observer.ts";
import { lastFewestShots, secondsLeft, stepsOfCall } from "./state.ts";
import type { ScreenState } from "./state.ts";
import { cells, count, duration, harmless, padEnd, plural, share } from "./style.ts";
import type { Style } from "./style.ts";

export function headingLines(start: RunStart, style: Style): string[] {
  const { recipeName, policyText, deviceText, seed, runPath, facts } = start;
  return [
    `${style(`icrl run ${recipeName}`, "strong")}  ${policyText}; ${deviceText}; seed ${seed}`,
    style(`recorded in ${runPath}`, "faint"),
    ...facts.map((fact) => style(fact, "faint")),
  ];
}

export function stageLine(stage: StagePlan, style: Style): string {
  const { name, shots, steps } = stage;
  return `${style(name, "strong")}  ${shotsText(shots)}, ${plural(steps, "step")}`;
}

/** "no demonstrations", "1 demonstration", ... */
export const shotsText = (shots: number): string =>
  shots === 0 ? "no demonstrations" : plural(shots, "demonstration");

/** The whole step in one line, for output that is not a terminal. */
export function stepLine(metrics: StepMetrics): string {
  const { step, stage, numGroups, zeroVarianceGroups, logprobDifference } = metrics;
  const parts = [
    `step ${step}`,
    `${stage} (${metrics.shots} shots)`,
    ...figures(metrics),
    speeds(metrics),
  ];
  parts.push(`entropy ${share(metrics.entropy)}`, `grad ${metrics.gradNorm.toFixed(2)}`);
  parts.push(`kl ${share(metrics.kl, 4)}`, `clip ${share(metrics.clipShare, 3)}`);
  parts.push(
    `zero-variance ${zeroVarianceGroups}/${numGroups}`,
    `|dlogp| ${logprobDifference.max.toExponential(1)}`,
  );
  parts.push(`trie ${metrics.trieRatio.toFixed(1)}x`, memoryText(metrics));
  parts.push(`${metrics.seconds.toFixed(2)} s`);
  return parts.join("  ");
}

function figures(metrics: StepMetrics): string[] {
  const { reward, em, validFormat } = metrics;
  return [
    `reward ${share(reward)}`,
    `EM ${share(em)}`,
    `format ${share(validFormat)}`,
    callsText(metrics, 1),
  ];
}

const memoryText = ({ memory: { usedBytes, plannedBytes } }: StepMetrics): string =>
  `memory ${bytesText(usedBytes)} of ${bytesText(plannedBytes)} planned`;

const speeds = ({ decode, decodeOccupancy, update }: StepMetrics): string =>
  `decode ${count(decode.tokensPerSecond)} (batch ${decodeOccupancy.toFixed(0)}), update ${count(update.tokensPerSecond)} tok/s`;

/** "  stage1, 0 shots  EM 0.463 ±0.07  1-hop 0.46  2-hop 0.23  format 0.90  calls 1.30". */
export function evaluationLine(evaluation: Evaluation, style: Style): string {
  const { stage, shots, em, emByHops, numSamples, validFormat } = evaluation;
  const hops = Object.entries(emByHops).map(([hop, value]) => `${hop}-hop ${share(value)}`);
  const parts = [
    padEnd(`  ${stage}, ${plural(shots, "shot")}`, 17),
    `EM ${style(share(em, 3), "strong")} ±${share(halfInterval(em, numSamples))}`,
    ...hops,
    `format ${share(validFormat)}`,
    callsText(evaluation, 2),
  ];
  return parts.join("  ");
}

/** "calls 1.3", of several tools "calls 1.3 (search 0.9, python 0.4)". */
function callsText(
  { toolCalls, callsByTool }: Pick<Evaluation, "toolCalls" | "callsByTool">,
  digits: number,
): string {
  const tools = Object.entries(callsByTool).map(
    ([name, each]) => `${name} ${each.toFixed(digits)}`,
  );
  const shares = tools.length > 1 ? ` (${harmless(tools.join(", "))})` : "";
  return `calls ${toolCalls.toFixed(digits)}${shares}`;
}

/** Half of the 95 % Wilson interval of a share of n. */
export function halfInterval(share_: number, n: number): number {
  if (n === 0) return 1;
  const z2 = 1.96 ** 2;
  return (1.96 / (1 + z2 / n)) * Math.sqrt((share_ * (1 - share_)) / n + z2 / (4 * n * n));
}

/** The live lines at the bottom of a terminal: bar and time left, then the figures that matter. */
export function liveLines(state: ScreenState, width: number, style: Style): string[] {
  const last = state.steps.at(-1);
  const fewest = lastFewestShots(state);
  const parts = last === undefined ? [] : figures(last);
  if (fewest !== undefined) parts.push(`${fewest.shots}-shot EM ${share(fewest.em)}`);
  if (last !== undefined) parts.push(speeds(last));
  const lines = [
    progressLine(state, width, style),
    ...(parts.length > 0 ? [parts.join("  ")] : []),
  ];
  return lines.map((line) => clip(line, width));
}

/** "stage2 [#####-----] 23/60  1m12s left". */
export function progressLine(state: ScreenState, width: number, style: Style): string {
  const { done, planned } = stepsOfCall(state);
  const left = secondsLeft(state);
  const before = `${state.stage?.name ?? "base"} `;
  const timeText = left === undefined ? "" : `  ${duration(left)} left`;
  const after = ` ${done}/${planned}${timeText}${evaluatingText(state.evaluating)}`;
  const barWidth = Math.max(4, Math.min(40, width - cells(before) - cells(after) - 1));
  return style(before, "strong") + bar(planned === 0 ? 0 : done / planned, barWidth, style) + after;
}

const evaluatingText = (plan: EvalPlan | undefined): string =>
  plan === undefined ? "" : `  evaluating with ${shotsText(plan.shots)}`;

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of exactly `width` cells, filled to eighths of a cell. */
export function bar(done: number, width: number, style: Style): string {
  const eighths = Math.round(Math.min(1, Math.max(0, done)) * width * 8);
  const filled = "█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
  return style(filled, "good") + style("░".repeat(width - cells(filled)), "faint");
}

/**
 * Cut to the width, plain text only where it must be cut: a line that wraps would break the
 * redrawing.
 */
export function clip(line: string, width: number): string {
  if (cells(line) <= width) return line;
  const plain = Bun.stripANSI(line);
  let end = Math.min(plain.length, width);
  while (cells(plain.slice(0, end)) > width - 1) end--;
  return `${plain.slice(0, end)}…`;
}
