// A Python sandbox for tests, and why there may be none. In CI there is no excuse: there it opens, or
// the tests fail.

import { observation } from "../../src/tools/python/observation.ts";
import { DEFAULT_LIMITS, type SandboxLimits } from "../../src/tools/python/limits.ts";
import { PythonSandbox } from "../../src/tools/python/sandbox.ts";

/** A busy machine may be slow; only what is meant to hang is stopped early. */
export const PATIENT: SandboxLimits = { ...DEFAULT_LIMITS, timeMs: 30_000 };
export const HASTY = { timeMs: 700 };

/** Undefined where the sandbox runs. */
export async function whyNoSandbox(): Promise<string | undefined> {
  if (process.env["CI"] !== undefined) return undefined;
  try {
    await using _ = await PythonSandbox.open({ workers: 1 });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export interface Said {
  readonly text: string;
  readonly executionFailed: boolean;
}

/** What the policy would read of it. */
export async function say(
  sandbox: PythonSandbox,
  code: string,
  less: Partial<SandboxLimits> = {},
): Promise<Said> {
  const limits = { ...sandbox.limits, ...less };
  const answer = observation(await sandbox.run(code, undefined, limits), limits);
  return typeof answer === "string" ? { text: answer, executionFailed: false } : answer;
}
