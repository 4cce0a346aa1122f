// What scores the rollouts of a run: the profile's pure terms, the tests of code in a sandbox, and
// a file of the user's, in one interface. Scoring that fails is an error that stops the run, since
// to train on a wrong reward is worse; an answer that is wrong, hangs or crashes is only a low
// reward.

import { resolve } from "node:path";
import { UserError } from "../config/errors.ts";
import type { RewardRecipe } from "../config/reward-recipe.ts";
import type { Reward } from "../types.ts";
import type { Accuracy } from "./accuracy.ts";
import { finalAnswer } from "./answer.ts";
import { CodeJudge } from "./code/judge.ts";
import { PythonFile } from "./file/python.ts";
import { readResult, type RewardFile, rowOf } from "./file/reward-file.ts";
import { TypeScriptFile } from "./file/typescript.ts";
import { profileOf, type RewardProfile } from "./profiles.ts";
import { type ScoredText, scoreRollout } from "./score.ts";
import { ScoringError } from "./scoring-error.ts";
import type { TagProfile } from "./tags.ts";

export interface Scorer extends AsyncDisposable {
  /** Rejects with ScoringError where a reward cannot be had. */
  score(text: ScoredText): Promise<Reward>;
}

export interface ScorerSurroundings {
  /** Sees what a Python reward file prints; absent: it is shown only where the file fails. */
  readonly print?: (text: string) => void;
}

/** Throws UserError where the reward file or the sandbox can't work. The caller closes it. */
export async function openScorer(
  recipe: RewardRecipe,
  tags: TagProfile,
  surroundings: ScorerSurroundings = {},
): Promise<Scorer> {
  await using stack = new AsyncDisposableStack();
  const profile = profileOf(recipe);
  const judge =
    profile.accuracy === "tests" ? stack.use(await CodeJudge.open(recipe.tests)) : undefined;
  const file =
    recipe.file === undefined
      ? undefined
      : stack.use(await openFile(recipe.file, recipe, surroundings));
  return new RecipeScorer(profile, tags, judge, file, stack.move());
}

/** The file's code is the user's own, and trusted: it runs with the rights of icrl. */
async function openFile(
  path: string,
  { deadline_ms: deadlineMs }: RewardRecipe,
  { print = () => undefined }: ScorerSurroundings,
): Promise<RewardFile> {
  const file = resolve(path);
  if (!(await Bun.file(file).exists())) {
    const hint = "reward.file names a TypeScript or Python file";
    throw new UserError("there is no such reward file", { where: path, hint });
  }
  if (file.endsWith(".py")) return PythonFile.open(file, { deadlineMs, print });
  return TypeScriptFile.open(file, deadlineMs);
}

/** Where rollouts are only looked at. */
export const unscored: Scorer = {
  score: () => Promise.reject(new Error("this rollout is not to be scored")),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

class RecipeScorer implements Scorer {
  constructor(
    private readonly profile: RewardProfile,
    private readonly tags: TagProfile,
    private readonly judge: CodeJudge | undefined,
    private readonly file: RewardFile | undefined,
    private readonly owned: AsyncDisposableStack,
  ) {}

  async score(text: ScoredText): Promise<Reward> {
    const { profile, tags, file } = this;
    const answer = finalAnswer(profile.answer, tags, text.policyText);
    const accuracy = await this.judged(answer, text);
    const reward = scoreRollout(profile, tags, text, accuracy);
    if (file === undefined) return reward;
    const result = await file.reward(rowOf(text, answer));
    const own = readResult(result, { task: text.id, where: file.path });
    return { total: own.total, components: { ...reward.components, ...own.components } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owned.disposeAsync();
  }

  /** Undefined where the text alone decides. */
  private async judged(
    answer: string | undefined,
    { tests, id: task }: ScoredText,
  ): Promise<Accuracy | undefined> {
    if (this.judge === undefined) return undefined;
    if (tests === undefined) {
      const hint = "accuracy: tests wants HumanEval or MBPP rows";
      throw new ScoringError("there are no tests to run", { task, hint });
    }
    return this.judge.accuracy(answer, tests, task);
  }
}
