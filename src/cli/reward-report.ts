// Scored rows of `icrl reward` as JSONL or as a table.

import { PENALTIES } from "../config/reward-recipe.ts";
import type { Reward } from "../types.ts";
import type { ScoredRow } from "./reward-rows.ts";

export function renderJson(scored: readonly ScoredRow[]): string {
  return scored
    .map(({ row, reward }) =>
      JSON.stringify({ ...row, reward: reward.total, components: reward.components }),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** A line a row with what it was paid and charged, then the means. */
export function renderTable(scored: readonly ScoredRow[]): string {
  const header = `${"row".padStart(5)}  reward    em  format  valid  faults`;
  const lines = scored.map(({ reward }, index) =>
    tableLine(String(index + 1), reward, notes(reward)),
  );
  return [header, ...lines, ...meanLine(scored)].map((line) => `${line}\n`).join("");
}

function tableLine(label: string, reward: Reward, note: string): string {
  const { em = 0, format = 0, valid_format: valid = 0 } = reward.components;
  const figures = [cell(reward.total, 6), cell(em, 4), cell(format, 6), cell(valid, 5), note];
  return `${label.padStart(5)}  ${figures.join("  ")}`.trimEnd();
}

const cell = (value: number, width: number): string => value.toFixed(2).padStart(width);
const inColumns: ReadonlySet<string> = new Set(["em", "format", "valid_format"]);
const penalties: ReadonlySet<string> = new Set(PENALTIES);

/** Penalties charged, then other components. */
function notes({ components }: Reward): string {
  const all = Object.entries(components).filter(([, value]) => value !== 0);
  const charged = all.filter(([name]) => penalties.has(name));
  const others = all.filter(([name]) => !penalties.has(name) && !inColumns.has(name));
  return [
    ...charged.map(([name, cost]) => `${name} -${cost}`),
    ...others.map(([name, value]) => `${name} ${Number(value.toFixed(4))}`),
  ].join(", ");
}

function meanLine(scored: readonly ScoredRow[]): readonly string[] {
  if (scored.length === 0) return [];
  const mean = (pick: (reward: Reward) => number): number =>
    scored.reduce((sum, { reward }) => sum + pick(reward), 0) / scored.length;
  const names = Object.keys(scored[0]!.reward.components);
  const components = Object.fromEntries(
    names.map((name) => [name, mean((reward) => reward.components[name] ?? 0)]),
  );
  return [tableLine("mean", { total: mean((reward) => reward.total), components }, "")];
}
