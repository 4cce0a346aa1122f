// A histogram of latencies: logarithmic buckets, 32 an octave, so a quantile is right within 1.1 %
// from a microsecond to an hour. It only grows; the difference of two is what came between.

const PER_OCTAVE = 32;
const SMALLEST_MS = 1e-3;
const NUM_BUCKETS = 32 * PER_OCTAVE;

export class LatencyHistogram {
  private constructor(private readonly counts: Uint32Array) {}

  static empty(): LatencyHistogram {
    return new LatencyHistogram(new Uint32Array(NUM_BUCKETS));
  }

  add(latencyMs: number): void {
    this.counts[bucketOf(latencyMs)]!++;
  }

  copy(): LatencyHistogram {
    return new LatencyHistogram(this.counts.slice());
  }

  /** What was added since `earlier`, a copy of this one. */
  since(earlier: LatencyHistogram): LatencyHistogram {
    return new LatencyHistogram(this.counts.map((count, i) => count - earlier.counts[i]!));
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** The latency that a share of all does not exceed, in ms; 0 of nothing. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (const [bucket, count] of this.counts.entries()) {
      seen += count;
      if (seen >= rank) return middleOf(bucket);
    }
    return 0;
  }
}

function bucketOf(ms: number): number {
  const bucket = Math.floor(Math.log2(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) * PER_OCTAVE);
  return Math.min(bucket, NUM_BUCKETS - 1);
}

const middleOf = (bucket: number): number => SMALLEST_MS * 2 ** ((bucket + 0.5) / PER_OCTAVE);
