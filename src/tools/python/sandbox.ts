// The Python sandbox: model-written code in processes of their own, under bubblewrap.
//
// Covered: files of the host (only Python's own are there, read-only), the network (there is none),
// other processes (namespaces of its own, no /proc), environment and secrets (empty), privileges
// (no capabilities, a filter of system calls, nothing that is setuid), what earlier snippets did
// (each is a fork of a zygote that never saw them; its files, processes and memory are gone before
// the next), time, memory, disk, files, processes and output (limits.ts).
//
// Not covered: faults of the kernel, which all containers trust; time on the processor that others
// would have used; memory of several processes of one snippet together, which is `processes` times
// the limit at worst (they are the first to go when memory runs out); packages of the host's
// Python, which a snippet may read; on kernels before 5.14 the limit of processes counts all of the
// user's. A signal that gets past the filter could end the zygote: its run fails, and another takes
// its place.

import { findHost, type Programs, type SandboxHost, USUAL_PROGRAMS } from "./host.ts";
import { DEFAULT_LIMITS, type SandboxLimits } from "./limits.ts";
import { WorkerPool } from "./pool.ts";
import type { RunRequest, RunResult } from "./worker.ts";

export interface SandboxOptions {
  /** Runs at the same time; each has a worker of 15 to 80 MB, started when it is needed. */
  readonly workers: number;
  readonly limits: SandboxLimits;
  readonly programs: Programs;
}

/** Imported in the worker once a snippet names them: sympy takes longer than most snippets. */
const PRELOADED = ["numpy", "sympy"];

export class PythonSandbox implements AsyncDisposable {
  private constructor(
    readonly host: SandboxHost,
    readonly limits: SandboxLimits,
    private readonly pool: WorkerPool,
  ) {}

  /** Throws UserError where it can't work on this machine. */
  static async open(options: Partial<SandboxOptions> = {}): Promise<PythonSandbox> {
    const { limits = DEFAULT_LIMITS, programs = USUAL_PROGRAMS } = options;
    const host = await findHost(programs);
    const workers = options.workers ?? navigator.hardwareConcurrency;
    return new PythonSandbox(host, limits, await WorkerPool.open(host, limits.diskBytes, workers));
  }

  /** Runs code of the policy. Rejects with SandboxError, or with the signal's reason. */
  async run(code: string, signal = NEVER(), limits = this.limits): Promise<RunResult> {
    return await this.ask("snippet", [code], code, signal, limits);
  }

  /** Runs tests, as JSON that judge.py reads, against code, which never sees them. */
  async runTests(tests: string, code: string, limits = this.limits): Promise<RunResult> {
    return await this.ask("tests", [tests, code], tests + code, NEVER(), limits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }

  private async ask(
    kind: RunRequest["kind"],
    texts: readonly string[],
    code: string,
    signal: AbortSignal,
    limits: SandboxLimits,
  ): Promise<RunResult> {
    const preload = PRELOADED.filter(
      (name) => name in this.host.packages && new RegExp(`\\b${name}\\b`).test(code),
    );
    const result = await this.pool.run({ kind, preload, texts }, limits, signal);
    signal.throwIfAborted();
    return result;
  }
}

function NEVER(): AbortSignal {
  return new AbortController().signal;
}
