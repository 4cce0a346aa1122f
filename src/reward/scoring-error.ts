// A rollout that could not be scored. It stops the run: training on wrong rewards would be worse.

import { UserError } from "../config/errors.ts";

export interface ScoringFailure {
  /** Id of the task whose rollout it was. */
  readonly task?: string | undefined;
  /** The reward file, or the key of the recipe. */
  readonly where?: string | undefined;
  readonly hint?: string | undefined;
}

export class ScoringError extends UserError {
  readonly task: string | undefined;

  constructor(what: string, { task, where, hint }: ScoringFailure = {}) {
    const line = what.replace(/\s*\n\s*/g, " | ").trim();
    super(task === undefined ? line : `no reward for task ${task}: ${line}`, { where, hint });
    this.task = task;
  }
}
