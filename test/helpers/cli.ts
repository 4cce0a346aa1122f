// The program as a person runs it, in a process of its own.

import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function icrl(cwd: string, ...args: string[]): Promise<Finished> {
  const env = { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1" };
  const command = [process.execPath, MAIN, ...args];
  const child = Bun.spawn(command, { cwd, env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}
