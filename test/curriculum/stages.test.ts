import { describe, expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import { parseStageRange, rangeText, stagesToRun } from "../../src/curriculum/stages.ts";

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError) return error.describe();
    throw error;
  }
  return "accepted";
}

test.each([
  ["stage1", 0, 0],
  ["stage3", 2, 2],
  ["stage1..3", 0, 2],
  ["stage2..stage3", 1, 2],
])("%s is the stages of index %d to %d", (text, first, last) => {
  expect(parseStageRange(text, 3)).toEqual({ first, last });
});

test.each([
  ["stgae1..3", 'did you mean "stage1..3"?'],
  ["stage1-3", 'did you mean "stage1..3"?'],
  ["stage4", 'did you mean "stage1"?'],
  ["stage0", 'did you mean "stage1"?'],
  ["stage3..1", "write stage1..3"],
  ["everything", "write stage1..3 or a part of it"],
])("%s is refused with a suggestion", (text, hint) => {
  expect(refusal(() => parseStageRange(text, 3))).toContain(hint);
});

test("a range is written as it is read", () => {
  for (const text of ["stage1", "stage1..3", "stage2..3"]) {
    expect(rangeText(parseStageRange(text, 3))).toBe(text);
  }
});

describe("a stage starts where the one before it ended", () => {
  const cases: readonly [request: string | undefined, finished: number, run: string, to: string][] =
    [
      ["stage1..3", 0, "", "stage1..3"],
      [undefined, 0, "", "stage1..3"],
      [undefined, 1, "runs/a", "stage2..3"],
      ["stage2", 1, "runs/a", "stage2"],
    ];
  test.each(cases)("%s after %d finished ones of %p runs %s", (request, finished, run, to) => {
    const asked = request === undefined ? undefined : parseStageRange(request, 3);
    expect(rangeText(stagesToRun(asked, finished, 3, run || undefined))).toBe(to);
  });

  const refused: readonly [request: string, finished: number, run: string, hint: string][] = [
    ["stage2..3", 0, "", "name a run that has with --run DIR, or begin with stage1..3"],
    ["stage3", 1, "runs/a", "begin with stage2..3"],
    ["stage1..2", 1, "runs/a", "go on with stage2..3, or start a new run"],
    ["stage1", 3, "runs/a", "has finished all of its stages"],
  ];
  test.each(refused)(
    "%s after %d finished ones of %p is refused",
    (request, finished, run, hint) => {
      const range = parseStageRange(request, 3);
      expect(refusal(() => stagesToRun(range, finished, 3, run || undefined))).toContain(hint);
    },
  );
});
