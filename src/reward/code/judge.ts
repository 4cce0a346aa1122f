// Answers that are code, judged by their tests in the Python sandbox: accuracy is the share of
// tests passed, and right is who passes them all. Code that fails, hangs or breaks out of nothing
// is a low share; a sandbox that breaks down twice under the same code is a ScoringError.

import type { RewardRecipe } from "../../config/reward-recipe.ts";
import { DEFAULT_LIMITS, type SandboxLimits } from "../../tools/python/limits.ts";
import { PythonSandbox } from "../../tools/python/sandbox.ts";
import { runUnitTests } from "../../tools/python/unit-tests.ts";
import { SandboxError } from "../../tools/python/worker.ts";
import type { CodeTests } from "../../types.ts";
import type { Accuracy } from "../accuracy.ts";
import { ScoringError } from "../scoring-error.ts";
import { programOf } from "./program.ts";

const WRONG: Accuracy = { value: 0, isRight: false };

export class CodeJudge implements AsyncDisposable {
  private constructor(
    private readonly sandbox: PythonSandbox,
    private readonly limits: SandboxLimits,
  ) {}

  /** Throws UserError where this machine can't run a sandbox. */
  static async open({ timeout_ms, memory_mb }: RewardRecipe["tests"]): Promise<CodeJudge> {
    const memoryBytes = memory_mb * 2 ** 20;
    const limits = { ...DEFAULT_LIMITS, timeMs: timeout_ms, memoryBytes };
    return new CodeJudge(await PythonSandbox.open({ limits }), limits);
  }

  /** Rejects with ScoringError where the sandbox breaks down. */
  async accuracy(
    answer: string | undefined,
    tests: CodeTests,
    task: string | undefined,
  ): Promise<Accuracy> {
    const program = answer === undefined ? undefined : programOf(answer, tests);
    if (program === undefined) return WRONG;
    const { passed, total } = await this.run(program, tests, task);
    if (total === 0) throw new ScoringError("its tests test nothing", { task });
    return { value: passed / total, isRight: passed === total };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }

  private async run(program: string, tests: CodeTests, task: string | undefined) {
    const once = () => runUnitTests(this.sandbox, program, tests, this.limits);
    try {
      return await once().catch((error: unknown) => {
        if (error instanceof SandboxError) return once();
        throw error;
      });
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      throw new ScoringError(error.message, { task, where: "reward.accuracy" });
    }
  }
}
