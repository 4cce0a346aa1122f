// Tests of model-written code, for rewards: how many of them it passes. They run in the sandbox, in
// a process that the code can't reach; judge.py says how, what a test is, and what remains. Not
// here: finding the code in an answer.

import { z } from "zod";
import type { CodeTests } from "../../types.ts";
import type { SandboxLimits } from "./limits.ts";
import type { PythonSandbox } from "./sandbox.ts";
import type { RunResult } from "./worker.ts";

export interface UnitTestResult {
  readonly passed: number;
  /** 0 where the tests hold no assert; else at least 1. */
  readonly total: number;
  /** For people: what went wrong, a line each; it quotes the tests. */
  readonly detail: string;
}

const verdictSchema = z.object({
  passed: z.int().min(0),
  total: z.int().min(0),
  detail: z.string(),
});

/**
 * Rejects with SandboxError where the sandbox breaks down. Code that can't be compiled, hangs or
 * ends its process passes what it passed before, which is usually nothing.
 */
export async function runUnitTests(
  sandbox: PythonSandbox,
  code: string,
  tests: CodeTests,
  limits: SandboxLimits = sandbox.limits,
): Promise<UnitTestResult> {
  return verdictOf(await sandbox.runTests(JSON.stringify(tests), code, limits));
}

/** A judge that was ended before it spoke counts as one failed test. */
function verdictOf({ outcome, parts: [text = ""] }: RunResult): UnitTestResult {
  const verdict = verdictSchema.safeParse(parsed(text));
  if (verdict.success) return verdict.data;
  return { passed: 0, total: 1, detail: `the tests were ended: ${outcome}` };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
