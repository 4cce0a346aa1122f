// A clock that a test moves by hand: nothing waits for real time.

import type { Clock } from "../../src/tools/tool.ts";

export class ManualClock implements Clock {
  private time = 0;
  private scheduled: { readonly at: number; readonly action: () => void }[] = [];

  now(): number {
    return this.time;
  }

  schedule(ms: number, action: () => void): () => void {
    const entry = { at: this.time + ms, action };
    this.scheduled.push(entry);
    return () => {
      this.scheduled = this.scheduled.filter((each) => each !== entry);
    };
  }

  get numScheduled(): number {
    return this.scheduled.length;
  }

  /**
   * Lets everything that is ready go on, then jumps to the next appointment, until none is left.
   */
  async runAll(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.scheduled.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) return;
      this.scheduled = this.scheduled.filter((each) => each !== next);
      this.time = next.at;
      next.action();
    }
  }
}
