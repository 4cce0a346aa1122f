// The rows of `icrl reward`: read from JSONL, and scored. Texts and rows in, rewards out; no files.
// Not here: how they are shown (reward-report.ts).

import * as z from "zod";
import { UserError } from "../config/errors.ts";
import type { RewardRecipe } from "../config/reward-recipe.ts";
import { profileOf } from "../reward/profiles.ts";
import type { ScoredText } from "../reward/score.ts";
import type { Scorer } from "../reward/scorer.ts";
import { ownText, type TagProfile } from "../reward/tags.ts";
import type { CodeTests, Reward } from "../types.ts";

const humanEval = z.looseObject({
  prompt: z.string(),
  test: z.string(),
  entry_point: z.string(),
});
const mbpp = z.looseObject({
  test_list: z.array(z.string()).min(1),
  test_setup_code: z.string().nullish(),
});
const testsSchema = z.union([humanEval, mbpp], {
  error: 'expected {"prompt", "test", "entry_point"} or {"test_list"}',
});

const rowSchema = z
  .looseObject({
    id: z.union([z.string(), z.number()]).optional(),
    prompt: z.string(),
    question: z.string().optional(),
    response: z.string(),
    golds: z.array(z.string()).min(1).optional(),
    tests: testsSchema.optional(),
    execution_failed: z.boolean().optional(),
    meta: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  })
  .check(({ value, issues }) => {
    if (value.golds !== undefined || value.tests !== undefined) return;
    const message = "expected a list of accepted answers, or tests";
    issues.push({ code: "custom", input: value, path: ["golds"], message });
  });
export type RewardRow = z.infer<typeof rowSchema>;
export interface PlacedRow {
  readonly row: RewardRow;
  /** File and line. */
  readonly where: string;
}
export interface ScoredRow {
  readonly row: RewardRow;
  readonly reward: Reward;
}

/**
 * The rows of a JSONL text; empty lines are skipped. The first bad line is an error that names it.
 */
export function parseRows(text: string, file: string): readonly PlacedRow[] {
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  return lines.flatMap((line, index) => {
    const where = `${file}:${index + 1}`;
    return line.trim() === "" ? [] : [{ row: parseRow(line, where), where }];
  });
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

const rowHint =
  'a row is {"prompt": text, "response": text, "golds": [text, ...]}, or has "tests" of code';

export interface RowScoring {
  readonly scorer: Pick<Scorer, "score">;
  readonly recipe: RewardRecipe;
  /** How responses are read. */
  readonly tags: TagProfile;
}

/** Rows that are scored at the same time: a reward of one's own may ask a server. */
const AT_ONCE = 32;

/** In their order. Throws UserError for a row that lacks what the reward needs. */
export async function scoreRows(
  scoring: RowScoring,
  rows: readonly PlacedRow[],
): Promise<ScoredRow[]> {
  for (const each of rows) requireNeeded(scoring.recipe, each);
  const scored: ScoredRow[] = [];
  for (let start = 0; start < rows.length; start += AT_ONCE) {
    const some = rows.slice(start, start + AT_ONCE);
    scored.push(...(await Promise.all(some.map((each) => scoreRow(scoring, each)))));
  }
  return scored;
}

async function scoreRow({ scorer, tags }: RowScoring, { row, where }: PlacedRow) {
  return { row, reward: await scorer.score(textOf(row, tags, where)) };
}

function requireNeeded(recipe: RewardRecipe, { row, where }: PlacedRow): void {
  const { accuracy, name } = profileOf(recipe);
  const needed = accuracy === "tests" ? "tests" : "golds";
  if (row[needed] !== undefined || (needed === "golds" && recipe.file !== undefined)) return;
  const what = `${needed}: accuracy ${accuracy} of the reward profile ${name} needs them`;
  throw new UserError(what, { where, hint: rowHint });
}

function textOf(row: RewardRow, tags: TagProfile, where: string): ScoredText {
  const { id, prompt, question, response, golds = [], tests, meta } = row;
  return {
    id: id === undefined ? where : String(id),
    prompt,
    question: question ?? prompt,
    response,
    policyText: ownText(tags, response),
    golds,
    tests: tests === undefined ? undefined : testsOf(tests),
    executionFailed: row.execution_failed,
    meta: meta ?? {},
  };
}

function testsOf(tests: z.infer<typeof testsSchema>): CodeTests {
  const full = humanEval.safeParse(tests);
  if (full.success) {
    const { prompt, test, entry_point: entryPoint } = full.data;
    return { kind: "humaneval", prompt, test, entryPoint };
  }
  const { test_list: asserts, test_setup_code: setup } = mbpp.parse(tests);
  return { kind: "mbpp", setup: setup ?? "", asserts };
}
