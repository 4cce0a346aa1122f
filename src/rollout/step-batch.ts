// One step's input for the KV cache, in arrays that are reused from step to step. Not here: what
// belongs into a step. T tokens, S segments, P pages, N rows to sample after: see
// icrl_cache_forward in ffi/icrl.h.

import type { CacheBatch } from "../../ffi/cache.ts";

/** Ints that grow. */
class Ints {
  data = new Int32Array(1024);
  length = 0;

  /** Room for `count` more; the index of the first. */
  grow(count: number): number {
    const start = this.length;
    this.length += count;
    if (this.length > this.data.length) {
      const larger = new Int32Array(2 * this.length);
      larger.set(this.data.subarray(0, start));
      this.data = larger;
    }
    return start;
  }

  used(): Int32Array {
    return this.data.subarray(0, this.length);
  }
}

const SEGMENT = 5;
const STREAM = 3;

export class StepBatch {
  private readonly tokens = new Ints();
  private readonly positions = new Ints();
  private readonly slots = new Ints();
  private readonly segments = new Ints();
  private readonly pages = new Ints();
  private readonly rows = new Ints();
  private readonly streams = new Ints();

  constructor(private readonly pageTokens: number) {}

  get numTokens(): number {
    return this.tokens.length;
  }
  get numRows(): number {
    return this.rows.length;
  }

  clear(): void {
    const all = [
      this.tokens,
      this.positions,
      this.slots,
      this.segments,
      this.pages,
      this.rows,
      this.streams,
    ];
    for (const ints of all) ints.length = 0;
  }

  /**
   * Feeds tokens [from, to) of a run whose first token is at `position`, to their places in the
   * run's pages.
   */
  addTokens(run: Int32Array, from: number, to: number, position: number, pages: Int32Array): void {
    let t = this.tokens.grow(to - from);
    this.positions.grow(to - from);
    this.slots.grow(to - from);
    for (let i = from; i < to; i++, t++) {
      this.tokens.data[t] = run[i]!;
      this.positions.data[t] = position + i;
      const page = (i / this.pageTokens) | 0;
      this.slots.data[t] = pages[page]! * this.pageTokens + (i - page * this.pageTokens);
    }
  }

  /** Reserves the next segment: a node comes before what is below it. */
  openSegment(): number {
    return this.segments.grow(SEGMENT);
  }

  /**
   * The segment holds the run's first `cached` tokens and is read by all tokens since `firstRow`;
   * dropped when there are none.
   */
  closeSegment(
    at: number,
    cached: number,
    position: number,
    pages: Int32Array,
    firstRow: number,
  ): void {
    if (this.numTokens === firstRow || cached === 0) {
      this.segments.length = at;
      return;
    }
    const count = Math.ceil(cached / this.pageTokens);
    const firstPage = this.pages.grow(count);
    for (let i = 0; i < count; i++) this.pages.data[firstPage + i] = pages[i]!;
    const { data } = this.segments;
    data[at] = firstPage;
    data[at + 1] = cached;
    data[at + 2] = position;
    data[at + 3] = firstRow;
    data[at + 4] = this.numTokens;
  }

  /** Samples after the token added last; `position` is that of the token to come. */
  sampleAfterLast(group: number, sample: number, position: number): void {
    this.rows.data[this.rows.grow(1)] = this.numTokens - 1;
    const at = this.streams.grow(STREAM);
    this.streams.data[at] = group;
    this.streams.data[at + 1] = sample;
    this.streams.data[at + 2] = position;
  }

  /** Valid until the next change. */
  view(seed: number, temperature: number): CacheBatch {
    return {
      tokens_T: this.tokens.used(),
      positions_T: this.positions.used(),
      slots_T: this.slots.used(),
      segments_S5: this.segments.used(),
      pages_P: this.pages.used(),
      rows_N: this.rows.used(),
      streams_N3: this.streams.used(),
      seed,
      temperature,
    };
  }
}
