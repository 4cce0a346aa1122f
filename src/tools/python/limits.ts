// What one snippet may use. The zygote holds it to these (zygote.py, lockdown.py).

export interface SandboxLimits {
  /** Of the clock on the wall, from the first line of the snippet; then all of it is killed. */
  readonly timeMs: number;
  /** Address space of each of its processes, beyond what the interpreter has. */
  readonly memoryBytes: number;
  /** Of its working folder, and of one file. */
  readonly diskBytes: number;
  readonly files: number;
  /** Of what is printed; a snippet that prints more is killed. */
  readonly outputBytes: number;
  /** Processes and threads at the same time. */
  readonly processes: number;
  readonly openFiles: number;
}

export const DEFAULT_LIMITS: SandboxLimits = {
  timeMs: 5000,
  memoryBytes: 512 * 2 ** 20,
  diskBytes: 64 * 2 ** 20,
  files: 4096,
  outputBytes: 16_384,
  processes: 16,
  openFiles: 64,
};
