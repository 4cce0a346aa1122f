// A circuit breaker: after so many failures in a row a tool is not asked for a while, then once
// again, and whether that works decides what comes next. It counts attempts, not calls. Time is an
// argument.

export interface BreakerOptions {
  readonly failures: number;
  readonly cooldownMs: number;
}

export type BreakerState = "closed" | "open" | "half_open";

/** What an attempt says of the tool: a call that was wrong in itself says nothing. */
export type Outcome = "worked" | "failed" | "unknown";

export type Admission = "pass" | "probe";

export class Breaker {
  private failures = 0;
  private openUntil = 0;
  private current: BreakerState = "closed";
  /** How often it has opened from being closed. */
  openings = 0;

  constructor(private readonly options: BreakerOptions) {}

  get state(): BreakerState {
    return this.current;
  }

  /** undefined: no attempt now. An admitted attempt is reported, whatever comes of it. */
  admit(now: number): Admission | undefined {
    if (this.current === "closed") return "pass";
    if (this.current === "half_open" || now < this.openUntil) return undefined;
    this.current = "half_open";
    return "probe";
  }

  report(admission: Admission, outcome: Outcome, now: number): void {
    if (outcome === "worked") {
      this.failures = 0;
      this.current = "closed";
    } else if (admission === "probe") {
      this.open(outcome === "failed" ? now + this.options.cooldownMs : now);
    } else if (outcome === "failed" && this.current === "closed") {
      this.failures++;
      if (this.failures < this.options.failures) return;
      this.openings++;
      this.open(now + this.options.cooldownMs);
    }
  }

  private open(until: number): void {
    this.current = "open";
    this.openUntil = until;
  }
}
