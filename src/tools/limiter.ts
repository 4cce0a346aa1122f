// At most so many calls at the same time; more wait, first come first served.

export class Limiter {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  /** Runs `work` when its turn comes. A free place costs no wait. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running === this.limit) {
      await new Promise<void>((resolve) => void this.waiting.push(resolve));
    } else {
      this.running++;
    }
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next(); // the place is handed on
    }
  }
}
