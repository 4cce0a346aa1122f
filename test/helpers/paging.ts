// Batches of the paged cache for tests: runs that own pages, read by the runs below them. Not the
// rollout engine's manager.

import type { CacheBatch } from "../../ffi/cache.ts";

/** A stretch of cached tokens, from position `start` on. */
export interface Run {
  readonly start: number;
  readonly pages: number[];
  count: number;
}
/** New tokens of one sequence: appended to the last of its runs, which all lie in the cache. */
export interface Part {
  readonly runs: readonly Run[];
  readonly tokens: readonly number[];
  /** Which of its tokens to sample after. */
  readonly sample: readonly number[];
  readonly stream?: readonly [group: number, sample: number];
}

export class Pages {
  private next = 0;
  constructor(
    readonly pageTokens: number,
    readonly numPages: number,
  ) {}

  newRun(start: number): Run {
    return { start, pages: [], count: 0 };
  }

  /**
   * The slots of `count` more tokens. Pages are handed out from the far end, so that nothing relies
   * on their order.
   */
  append(run: Run, count: number): number[] {
    return Array.from({ length: count }, () => {
      const offset = run.count++ % this.pageTokens;
      if (offset === 0) run.pages.push(this.numPages - 1 - this.next++);
      return run.pages.at(-1)! * this.pageTokens + offset;
    });
  }
}

/**
 * One forward over all parts. A run that neighbouring parts share is one segment over all of them.
 */
export function cacheBatch(
  pages: Pages,
  parts: readonly Part[],
  seed = 1,
  temperature = 1,
): CacheBatch {
  const starts = parts.map((_, i) =>
    parts.slice(0, i).reduce((sum, part) => sum + part.tokens.length, 0),
  );
  const positions = parts.flatMap((part) =>
    part.tokens.map((_, i) => part.runs.at(-1)!.start + part.runs.at(-1)!.count + i),
  );
  const slots = parts.flatMap((part) => pages.append(part.runs.at(-1)!, part.tokens.length));
  const { segments, pageList } = readers(parts, starts);
  const rows = parts.flatMap((part, i) => part.sample.map((offset) => starts[i]! + offset));
  const streams = parts.flatMap((part, i) =>
    part.sample.flatMap((offset) => [
      ...(part.stream ?? [0, i]),
      positions[starts[i]! + offset]! + 1,
    ]),
  );
  return {
    tokens_T: Int32Array.from(parts.flatMap((part) => part.tokens)),
    positions_T: Int32Array.from(positions),
    slots_T: Int32Array.from(slots),
    segments_S5: Int32Array.from(segments),
    pages_P: Int32Array.from(pageList),
    rows_N: Int32Array.from(rows),
    streams_N3: Int32Array.from(streams),
    seed,
    temperature,
    wantLogits: true,
  };
}

interface Reader {
  readonly run: Run;
  readonly first: number;
  readonly end: number;
}

/** In the order of their first token, as the engine wants them. */
function readers(
  parts: readonly Part[],
  starts: readonly number[],
): { segments: number[]; pageList: number[] } {
  const found = [...new Set(parts.flatMap((part) => part.runs))].flatMap((run) =>
    readersOf(run, parts, starts),
  );
  const segments: number[] = [];
  const pageList: number[] = [];
  for (const { run, first, end } of found.toSorted((a, b) => a.first - b.first)) {
    segments.push(pageList.length, run.count, run.start, first, end);
    pageList.push(...run.pages);
  }
  return { segments, pageList };
}

function readersOf(run: Run, parts: readonly Part[], starts: readonly number[]): Reader[] {
  const reading = parts.map((part) => part.runs.includes(run));
  return parts.flatMap((_, i) => {
    if (!reading[i] || reading[i - 1]) return [];
    let last = i;
    while (reading[last + 1]) last++;
    return [{ run, first: starts[i]!, end: starts[last]! + parts[last]!.tokens.length }];
  });
}
