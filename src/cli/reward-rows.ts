// The rows of `icrl reward`: read from JSONL, scored, and written as JSONL or as a table. Texts in,
// texts out; no files.

import * as z from "zod";
import { UserError } from "../config/errors.ts";
import type { RewardProfile } from "../reward/profiles.ts";
import { scoreResponse } from "../reward/score.ts";
import { tagProfile } from "../reward/tags.ts";
import type { Reward } from "../types.ts";

const rowSchema = z.looseObject({
  prompt: z.string(),
  response: z.string(),
  golds: z.array(z.string()).min(1),
});
export type RewardRow = z.infer<typeof rowSchema>;
export interface ScoredRow {
  readonly row: RewardRow;
  readonly reward: Reward;
}

/**
 * The rows of a JSONL text; empty lines are skipped. The first bad line is an error that names it.
 */
export function parseRows(text: string, file: string): readonly RewardRow[] {
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  return lines.flatMap((line, index) =>
    line.trim() === "" ? [] : [parseRow(line, `${file}:${index + 1}`)],
  );
}

function parseRow(line: string, where: string): RewardRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UserError("not a JSON object", { where, hint: rowHint });
  }
  const parsed = rowSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const what = [issue.path.join("."), issue.message].filter((part) => part !== "").join(": ");
  throw new UserError(what, { where, hint: rowHint });
}

const rowHint = 'a row is {"prompt": text, "response": text, "golds": [text, ...]}';

export function scoreRows(profile: RewardProfile, rows: readonly RewardRow[]): ScoredRow[] {
  const tags = tagProfile(profile.tags);
  return rows.map((row) => ({ row, reward: scoreResponse(profile, tags, row) }));
}

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
    tableLine(String(index + 1), reward, faults(reward)),
  );
  return [header, ...lines, ...meanLine(scored)].map((line) => `${line}\n`).join("");
}

function tableLine(label: string, reward: Reward, note: string): string {
  const { em = 0, format = 0, valid_format: valid = 0 } = reward.components;
  const figures = [cell(reward.total, 6), cell(em, 4), cell(format, 6), cell(valid, 5), note];
  return `${label.padStart(5)}  ${figures.join("  ")}`.trimEnd();
}

const cell = (value: number, width: number): string => value.toFixed(2).padStart(width);
const paid = new Set(["em", "format", "valid_format"]);

function faults(reward: Reward): string {
  const charged = Object.entries(reward.components).filter(
    ([name, cost]) => !paid.has(name) && cost > 0,
  );
  return charged.map(([name, cost]) => `${name} -${cost}`).join(", ");
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
