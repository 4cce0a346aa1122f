// A reward in TypeScript or JavaScript: the file's default export, called in this process. It may
// be async. A function that never returns and never waits cannot be stopped.

import { UserError } from "../../config/errors.ts";
import { withinDeadline } from "./deadline.ts";
import { ScoringError } from "../scoring-error.ts";
import type { RewardFile, RewardInput } from "./reward-file.ts";

type RewardFunction = (input: RewardInput) => unknown;

const hint = "wanted: export default function reward({ question, golds, answer }) { return 1; }";

export class TypeScriptFile implements RewardFile {
  private constructor(
    readonly path: string,
    private readonly call: RewardFunction,
    private readonly deadlineMs: number,
  ) {}

  /** `path` is absolute. Throws UserError where it holds no reward. */
  static async open(path: string, deadlineMs: number): Promise<TypeScriptFile> {
    const loaded = await load(path);
    if (typeof loaded["default"] === "function") {
      return new TypeScriptFile(path, loaded["default"] as RewardFunction, deadlineMs);
    }
    const what = "the reward file has no function as its default export";
    throw new UserError(what, { where: path, hint });
  }

  async reward(input: RewardInput): Promise<unknown> {
    const about = { task: input.id, where: this.path };
    const late = (): Error =>
      new ScoringError(`the reward file took longer than ${this.deadlineMs} ms`, about);
    try {
      return await withinDeadline(Promise.resolve(this.call(input)), this.deadlineMs, late);
    } catch (error) {
      if (error instanceof ScoringError) throw error;
      throw new ScoringError(`reward() threw ${said(error)}`, about);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function load(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(path)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const what = `the reward file can't be loaded: ${said(error)}`;
    throw new UserError(what, { where: path, hint });
  }
}

/** One line. A syntax error is in the first of several errors. */
function said(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return String(first).split("\n")[0]!;
}
