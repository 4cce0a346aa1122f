// Stages by name: `stage1`, `stage2`, ... and ranges of them, `stage1..3`. What a stage is made of
// is recipe data; how far a run has come is progress.ts. Indices count from 0, names from 1.

import { nearest, UserError } from "../config/errors.ts";

/** Stage indices, both included. */
export interface StageRange {
  readonly first: number;
  readonly last: number;
}

export function stageName(index: number): string {
  return `stage${index + 1}`;
}

/** Throws UserError when the text is no range of the stages that there are. */
export function parseStageRange(text: string, numStages: number): StageRange {
  const match = /^stage(\d+)(?:\.\.(?:stage)?(\d+))?$/.exec(text);
  if (match === null) throw unknownRange(text, numStages);
  const first = Number(match[1]) - 1;
  const last = match[2] === undefined ? first : Number(match[2]) - 1;
  if (first < 0 || last >= numStages) throw unknownRange(text, numStages);
  if (last < first) {
    const hint = `write ${rangeText({ first: last, last: first })}`;
    throw new UserError(`the range "${text}" runs backwards`, { hint, exitCode: 2 });
  }
  return { first, last };
}

export function rangeText({ first, last }: StageRange): string {
  return first === last ? stageName(first) : `${stageName(first)}..${last + 1}`;
}

/**
 * The stages that a command asks for, checked against those that are finished. Without a request it
 * is all that is left. `run` names the run that is continued, undefined for a new one.
 */
export function stagesToRun(
  request: StageRange | undefined,
  finished: number,
  numStages: number,
  run: string | undefined,
): StageRange {
  const rest = { first: finished, last: numStages - 1 };
  const range = request ?? rest;
  if (finished === numStages) throw new UserError(`${run} has finished all of its stages`);
  if (range.first < finished) {
    const hint = `go on with ${rangeText(rest)}, or start a new run`;
    throw new UserError(`${run} has already finished ${stageName(range.first)}`, { hint });
  }
  if (range.first > finished) throw tooEarly(range, finished, run);
  return range;
}

function tooEarly(range: StageRange, finished: number, run: string | undefined): UserError {
  const wanted = stageName(range.first);
  const missing = stageName(range.first - 1);
  const who = run ?? "a new run";
  const what = `${wanted} starts where ${missing} ended, and ${who} has not finished it`;
  const hint =
    run === undefined
      ? `name a run that has with --run DIR, or begin with ${rangeText({ ...range, first: 0 })}`
      : `begin with ${rangeText({ ...range, first: finished })}`;
  return new UserError(what, { hint });
}

function unknownRange(text: string, numStages: number): UserError {
  const indices = Array.from({ length: numStages }, (_, index) => index);
  const ranges = indices.flatMap((first) =>
    indices.slice(first).map((last) => rangeText({ first, last })),
  );
  const longestFirst = ranges.toSorted((a, b) => b.length - a.length);
  const all = rangeText({ first: 0, last: numStages - 1 });
  const near = nearest(text, longestFirst);
  const hint = near === undefined ? `write ${all} or a part of it` : `did you mean "${near}"?`;
  const stages = numStages === 1 ? "one stage" : `${numStages} stages`;
  return new UserError(`"${text}" is no stage of this recipe, which has ${stages}`, {
    hint,
    exitCode: 2,
  });
}
