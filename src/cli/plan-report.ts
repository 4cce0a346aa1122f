// What `icrl plan` says, as lines for people and as a record. Pure.

import { bytesText } from "../config/bytes.ts";
import type { RecipePlan } from "../train/plan/recipe-plan.ts";
import { snakeKeys } from "./screen/json.ts";
import { cells, count, padEnd, padStart, plural, type Style } from "./screen/style.ts";

export const planRecord = (plan: RecipePlan): unknown => snakeKeys(plan);

export function planLines(plan: RecipePlan, style: Style): string[] {
  const { recipe, model, parameters, dtype, device, peakBytes, budgetBytes, hostBytes } = plan;
  const what = `${model}, ${(parameters / 1e6).toFixed(2)} M parameters, ${dtype} on ${device}`;
  return [
    `${style(`icrl plan ${recipe}`, "strong")}  ${what}`,
    "",
    ...residentLines(plan),
    "",
    responseLine(plan),
    ...stageLines(plan, style),
    "",
    `tensors take at most ${style(bytesText(peakBytes), "strong")} of ${bytesText(budgetBytes)}; ` +
      `on the host beside them ${bytesText(hostBytes)}`,
    ...(device === "cuda" ? [style(CUDA_NOTE, "faint")] : []),
  ];
}

const CUDA_NOTE = "activations on cuda are an estimate that no device has confirmed yet";

const NAMES: Readonly<Record<keyof RecipePlan["resident"], string>> = {
  weights: "weights",
  packed: "weights, packed for the CPU",
  gradients: "gradients",
  optimizer: "optimizer",
  base: "base of the adapters",
  reference: "KL reference",
  cache: "KV cache",
  rotary: "rotary table",
};

function residentLines({ resident, residentBytes }: RecipePlan): string[] {
  const rows = Object.entries(resident).filter(([, bytes]) => bytes > 0);
  const named = rows.map(([key, bytes]) => [NAMES[key as keyof typeof NAMES], bytes] as const);
  return [...named, ["for the whole run", residentBytes] as const].map(
    ([name, bytes]) => `${padEnd(name, 30)}${padStart(bytesText(bytes), 10)}`,
  );
}

function responseLine({ response: { sampled, turns, observation } }: RecipePlan): string {
  const between = turns > 1 ? `, observations of ${observation} between them` : "";
  return `a rollout: ${sampled} sampled tokens in ${plural(turns, "turn")}${between}`;
}

type Stage = RecipePlan["stages"][number];
const COLUMNS: readonly (readonly [string, (stage: Stage) => string])[] = [
  ["stage", ({ name, shots }) => (shots === undefined ? name : `${name}, ${shots} shots`)],
  ["prompt", ({ shared, own }) => `${shared} + ${Math.round(own)}`],
  ["tokens as rows", ({ rowTokens }) => count(rowTokens)],
  ["computed", ({ batches }) => count(batches.tokens)],
  ["trie", ({ trieRatio }) => `${trieRatio.toFixed(2)}x`],
  ["micro-batches", ({ batches }) => `${batches.count} of ${count(batches.largest)}`],
  ["layers again", ({ batches }) => `${batches.recomputed}`],
  ["update", ({ bytes }) => bytesText(bytes.update)],
  ["sampling", ({ bytes }) => bytesText(bytes.rollouts)],
  ["rollout FLOP", ({ flops }) => flopsText(flops.rollouts)],
  ["update FLOP", ({ flops }) => flopsText(flops.update + flops.reference)],
];

function stageLines({ stages }: RecipePlan, style: Style): string[] {
  const columns = COLUMNS.map(([title, cell]) => [title, ...stages.map(cell)]);
  const widths = columns.map((texts) => Math.max(...texts.map(cells)));
  const line = (row: number): string =>
    columns
      .map((texts, c) => (c === 0 ? padEnd : padStart)(texts[row]!, widths[c]!))
      .join("  ");
  return [style(line(0), "faint"), ...stages.map((_, i) => line(i + 1))];
}

/** "3.1 T", "420.0 G". */
function flopsText(flops: number): string {
  const units = ["", "k", "M", "G", "T", "P", "E"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, flops)) / 3));
  return `${(flops / 1000 ** power).toFixed(1)} ${units[power]}`;
}
