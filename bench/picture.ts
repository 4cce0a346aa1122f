// Draws the README's picture from what a run recorded: EM by number of demonstrations before and
// after, and EM and reward of the training rollouts through the stages.
//   npx bun bench/picture.ts RUN FILE.svg

import { writeFileSync } from "node:fs";
import { RunFolder } from "../src/run/directory.ts";
import type { Evaluation, StepMetrics } from "../src/run/metrics.ts";
import { element, line, path, svg, text } from "./svg.ts";

const SIZE = { width: 960, height: 400 };
const TOP = 88;
const BOTTOM = 316;
const BARS = { left: 64, right: 384 };
const CURVE = { left: 460, right: 936 };
const INK = {
  before: "#b4bcc6",
  after: "#0b7d73",
  reward: "#8a4fbf",
  faint: "#6b7580",
  grid: "#dfe3e8",
};
const SMALL = { "font-size": 11, fill: INK.faint };

const y = (share: number): number => BOTTOM - share * (BOTTOM - TOP);

export interface Recorded {
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly Evaluation[];
}

export function picture(recorded: Recorded): string {
  return svg(SIZE.width, SIZE.height, [
    ...grid(BARS),
    ...bars(recorded.evaluations),
    ...grid(CURVE),
    ...curve(recorded),
    text(BARS.left, SIZE.height - 16, footnote(recorded), SMALL),
  ]);
}

function grid({ left, right }: { left: number; right: number }): string[] {
  return [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    line([left, y(share)], [right, y(share)], { stroke: INK.grid }),
    text(left - 8, y(share) + 4, share.toFixed(2), { ...SMALL, "text-anchor": "end" }),
  ]);
}

function bars(evaluations: readonly Evaluation[]): string[] {
  const after = evaluations.at(-1)?.stage;
  const shots = [...new Set(evaluations.map((each) => each.shots))].toSorted((a, b) => a - b);
  const slot = (BARS.right - BARS.left) / shots.length;
  const pairs = shots.flatMap((each, i) => {
    const middle = BARS.left + slot * (i + 0.5);
    return [
      ...bar(evaluations, "base", each, middle - 33, INK.before),
      ...bar(evaluations, after, each, middle + 1, INK.after),
      text(middle, BOTTOM + 18, String(each), { "text-anchor": "middle" }),
    ];
  });
  const title = "Exact match on held-out questions";
  const axis = text((BARS.left + BARS.right) / 2, BOTTOM + 36, "demonstrations in the prompt", {
    ...SMALL,
    "text-anchor": "middle",
  });
  const keys = [
    key(BARS.left, INK.before, "before"),
    key(BARS.left + 72, INK.after, "after training"),
  ];
  return [heading(BARS.left, title), ...keys, ...pairs, axis];
}

function bar(
  evaluations: readonly Evaluation[],
  stage: string | undefined,
  shots: number,
  left: number,
  fill: string,
): string[] {
  const em = evaluations.findLast((each) => each.stage === stage && each.shots === shots)?.em;
  if (em === undefined) return [];
  const label = { "text-anchor": "middle", "font-size": 10.5 };
  return [
    element("rect", { x: left, y: y(em), width: 32, height: BOTTOM - y(em), fill, rx: 2 }),
    text(left + 16, y(em) - 5, em.toFixed(3), label),
  ];
}

function curve({ steps, evaluations }: Recorded): string[] {
  const last = steps.at(-1)?.step ?? 1;
  const x = (step: number): number => CURVE.left + (step / last) * (CURVE.right - CURVE.left);
  const stages = [...new Set(steps.map(({ stage }) => stage))];
  const lines = (figure: (step: StepMetrics) => number, stroke: string): string[] =>
    stages.map((name) => {
      const members = steps.filter(({ stage }) => stage === name);
      const points = members.map((step): [number, number] => [x(step.step), y(figure(step))]);
      return path(points, { stroke, "stroke-width": 2, "stroke-linejoin": "round" });
    });
  const keys = [
    key(CURVE.left, INK.after, "EM in training"),
    key(CURVE.left + 116, INK.reward, "reward"),
    diamond(CURVE.left + 199, 59),
    text(CURVE.left + 210, 63, "held-out EM without demonstrations", { "font-size": 12 }),
  ];
  return [
    heading(CURVE.left, "Through the stages"),
    ...keys,
    ...stageBounds(steps, x),
    ...lines(({ reward }) => reward, INK.reward),
    ...lines(({ em }) => em, INK.after),
    ...evaluations
      .filter(({ shots }) => shots === 0)
      .map(({ step, em }) => diamond(x(step), y(em))),
  ];
}

/** A dashed line where a stage begins, and its demonstrations under its steps. */
function stageBounds(steps: readonly StepMetrics[], x: (step: number) => number): string[] {
  const stages = [...new Set(steps.map(({ stage }) => stage))];
  return stages.flatMap((name, i) => {
    const members = steps.filter(({ stage }) => stage === name);
    const from = x(members[0]!.step - 1);
    const middle = (from + x(members.at(-1)!.step)) / 2;
    const shots = members[0]!.shots;
    const bound = line([from, TOP], [from, BOTTOM], {
      stroke: INK.faint,
      "stroke-dasharray": "3 3",
    });
    return [
      ...(i === 0 ? [] : [bound]),
      text(middle, BOTTOM + 18, name, { "text-anchor": "middle" }),
      text(middle, BOTTOM + 36, `${shots} ${shots === 1 ? "shot" : "shots"}`, {
        ...SMALL,
        "text-anchor": "middle",
      }),
    ];
  });
}

/** No times: those depend on what else the machine did, and have a table of their own. */
function footnote({ steps, evaluations }: Recorded): string {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) return "no steps recorded";
  const rollouts = `${last.step} steps of ${first.numRollouts} rollouts`;
  return `One run: ${rollouts}; ${evaluations.at(-1)?.numSamples ?? 0} held-out questions`;
}

const heading = (x: number, title: string): string =>
  text(x, 34, title, { "font-size": 16, "font-weight": 600 });

const key = (x: number, fill: string, label: string): string =>
  element("rect", { x, y: 54, width: 10, height: 10, rx: 2, fill }) +
  text(x + 16, 63, label, { "font-size": 12 });

const diamond = (x: number, top: number): string =>
  element("path", {
    d: `M${x} ${top - 6}l6 6l-6 6l-6-6z`,
    fill: "#ffffff",
    stroke: "#2b3137",
    "stroke-width": 1.5,
  });

if (import.meta.main) {
  const [runPath, svgPath] = process.argv.slice(2);
  if (runPath === undefined || svgPath === undefined) {
    throw new Error("usage: npx bun bench/picture.ts RUN FILE.svg");
  }
  using reader = new RunFolder(runPath).openReader();
  writeFileSync(svgPath, picture({ steps: reader.steps(), evaluations: reader.evaluations() }));
}
