// Several workers: started when they are needed, lent for one run, replaced when they die. Calls
// wait in order for a free one.

import type { SandboxHost } from "./host.ts";
import type { SandboxLimits } from "./limits.ts";
import { type RunRequest, type RunResult, SandboxError, Worker } from "./worker.ts";

interface Waiting {
  readonly give: (worker: Worker | undefined) => void;
}

export class WorkerPool implements AsyncDisposable {
  private readonly free: Worker[] = [];
  private readonly all = new Set<Worker>();
  private readonly queue: Waiting[] = [];
  private numSeats = 0; // workers that exist or are being started
  private isClosed = false;

  private constructor(
    private readonly host: SandboxHost,
    private readonly diskBytes: number,
    private readonly maxWorkers: number,
  ) {}

  /** Starts the first worker, so that what can't work is known at once. */
  static async open(host: SandboxHost, diskBytes: number, workers: number): Promise<WorkerPool> {
    const pool = new WorkerPool(host, diskBytes, workers);
    pool.numSeats++;
    pool.give(await pool.start());
    return pool;
  }

  /** Rejects with SandboxError where the sandbox breaks down, or with the signal's reason. */
  async run(request: RunRequest, limits: SandboxLimits, signal: AbortSignal): Promise<RunResult> {
    const worker = await this.take(signal);
    try {
      signal.throwIfAborted();
      return await worker.run(request, limits, signal);
    } finally {
      this.give(worker);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    for (const { give } of this.queue.splice(0)) give(undefined);
    await Promise.all([...this.all].map((worker) => worker.end()));
  }

  private async take(signal: AbortSignal): Promise<Worker> {
    signal.throwIfAborted();
    if (this.isClosed) throw new SandboxError("the sandbox is closed");
    const worker = this.free.pop();
    if (worker !== undefined) return worker;
    if (this.numSeats === this.maxWorkers) return await this.wait(signal);
    this.numSeats++;
    return await this.start();
  }

  private async wait(signal: AbortSignal): Promise<Worker> {
    const { promise, resolve, reject } = Promise.withResolvers<Worker | undefined>();
    const waiting: Waiting = { give: resolve };
    const leave = () => {
      const place = this.queue.indexOf(waiting);
      if (place >= 0) this.queue.splice(place, 1);
      reject(signal.reason);
    };
    this.queue.push(waiting);
    signal.addEventListener("abort", leave);
    const worker = await promise.finally(() => signal.removeEventListener("abort", leave));
    // Nothing to lend: a worker has died, and its seat is the waiting one's.
    return worker ?? (this.isClosed ? await this.take(signal) : await this.start());
  }

  /** Its seat is taken already; it is free again where that fails. */
  private async start(): Promise<Worker> {
    try {
      const worker = await Worker.start(this.host, this.diskBytes);
      this.all.add(worker);
      if (!this.isClosed) return worker;
      await worker.end();
      throw new SandboxError("the sandbox is closed");
    } catch (error) {
      this.vacate();
      throw error;
    }
  }

  private give(worker: Worker): void {
    if (worker.isDead) {
      this.all.delete(worker);
      this.vacate();
      return;
    }
    const next = this.queue.shift();
    if (next === undefined) this.free.push(worker);
    else next.give(worker);
  }

  private vacate(): void {
    const next = this.queue.shift();
    if (next === undefined) this.numSeats--;
    else next.give(undefined);
  }
}
