// The program as a person runs it, in a process of its own.

import { join } from "node:path";

export const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const icrl = (cwd: string, ...args: string[]): Promise<Finished> => icrlIn({ cwd }, args);

export interface Place {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export async function icrlIn({ cwd, env = {}, stdin = "" }: Place, args: readonly string[]): Promise<Finished> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd,
    env: { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1", ...env },
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}
