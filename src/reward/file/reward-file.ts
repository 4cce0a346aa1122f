// A reward that the user wrote: what it is given and what it has to give back. It is the user's
// own, trusted code; nothing here or beside it is a sandbox.

import type { CodeTests, Task, ToolCall } from "../../types.ts";
import type { ScoredText } from "../score.ts";
import { ScoringError } from "../scoring-error.ts";

/** What a reward function is given. In Python the names are in snake_case. */
export interface RewardInput {
  readonly id: string;
  readonly question: string;
  readonly golds: readonly string[];
  /** null: the policy gave none. */
  readonly answer: string | null;
  /** Policy and observations. */
  readonly response: string;
  /** The policy's own part of it. */
  readonly policyText: string;
  readonly prompt: string;
  readonly toolCalls: readonly ToolCall[];
  readonly meta: Task["meta"];
  readonly tests: CodeTests | null;
}

export interface RewardFile extends AsyncDisposable {
  readonly path: string;
  /** What the user's function returned. Rejects with ScoringError. */
  reward(input: RewardInput): Promise<unknown>;
}

/** What has to come back, as people read it. */
export const WANTED = "a finite number, or total and components that are finite numbers";

export function rowOf(text: ScoredText, answer: string | undefined): RewardInput {
  return {
    id: text.id ?? "",
    question: text.question ?? "",
    golds: text.golds,
    answer: answer ?? null,
    response: text.response,
    policyText: text.policyText,
    prompt: text.prompt,
    toolCalls: text.toolCalls ?? [],
    meta: text.meta ?? {},
    tests: text.tests ?? null,
  };
}

export interface RewardOutput {
  readonly total: number;
  readonly components: Readonly<Record<string, number>>;
}

interface About {
  readonly task: string | undefined;
  readonly where: string;
}

/** A number, or numbers by name with `total` among them. Throws ScoringError. */
export function readResult(value: unknown, about: About): RewardOutput {
  if (typeof value === "number" && Number.isFinite(value)) return { total: value, components: {} };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refused(`reward() returned ${shown(value)}`, about);
  }
  const all = Object.entries(value as Readonly<Record<string, unknown>>);
  const wrong = all.find(([, each]) => typeof each !== "number" || !Number.isFinite(each));
  if (wrong !== undefined) {
    throw refused(`reward() returned ${shown(wrong[1])} as ${wrong[0]}`, about);
  }
  const { total, ...components } = value as Readonly<Record<string, number>>;
  if (total === undefined) throw refused("reward() returned no total", about);
  return { total, components };
}

const refused = (what: string, about: About): ScoringError =>
  new ScoringError(what, { ...about, hint: `wanted: ${WANTED}` });

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
