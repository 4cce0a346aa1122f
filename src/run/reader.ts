// Reads run.sqlite, also while another process writes it: metrics in order, lists of rollouts, one
// rollout whole. Writing is in store.ts, the schema in schema.ts.

import type { Database } from "bun:sqlite";
import { UserError } from "../config/errors.ts";
import type { FinishReason, Reward, Rollout, Sample, Task } from "../types.ts";
import type { EventKind, StoredEvent } from "./events.ts";
import type { Evaluation, StepMetrics } from "./metrics.ts";
import type { RunPast } from "./observer.ts";
import { rolloutOfRow } from "./rows.ts";
import type { RolloutRow, ToolCallRow } from "./rows.ts";
import { openDatabase, SCHEMA_VERSION } from "./schema.ts";

export interface StoredEvaluation extends Evaluation {
  readonly id: number;
}
/** A rollout without its tokens, for lists. */
export interface RolloutSummary {
  readonly id: number;
  readonly groupId: string;
  readonly sample: number;
  readonly task: Task;
  readonly finish: FinishReason;
  readonly numTurns: number;
  readonly numTokens: number; // of the response
  readonly reward: number;
  readonly advantage: number | null;
}
export interface StoredRollout {
  readonly id: number;
  readonly step: number | null;
  readonly evaluation: number | null;
  readonly rollout: Rollout;
  readonly reward: Reward;
  readonly advantage: number | null;
}
/** Whose rollouts: a step's or an evaluation's. */
export type RolloutsOf = { readonly step: number } | { readonly evaluation: number };

interface StoredRolloutRow extends RolloutRow {
  readonly id: number;
  readonly step: number | null;
  readonly evaluation: number | null;
  readonly reward: number;
  readonly advantage: number | null;
  readonly prompt_tokens: Uint8Array;
}

export class RunReader {
  readonly path: string;
  protected readonly db: Database;

  protected constructor(path: string, db: Database) {
    this.path = path;
    this.db = db;
    this.#requireVersion();
  }

  static open(path: string): RunReader {
    return new RunReader(path, openDatabase(path, { readonly: true }));
  }

  [Symbol.dispose](): void {
    this.db.close();
  }

  meta(key: string): string | undefined {
    return this.db
      .query<{ value: string }, [string]>("SELECT value FROM meta WHERE key = ?")
      .get(key)?.value;
  }

  /** The last whole step, 0 before the first. */
  lastStep(): number {
    return this.db
      .query<{ last: number }, []>("SELECT coalesce(max(step), 0) AS last FROM steps")
      .get()!.last;
  }

  /** Metrics of every step after `after`, in order. */
  steps(after = 0): StepMetrics[] {
    return this.db
      .query<{ metrics: string }, [number]>(
        "SELECT metrics FROM steps WHERE step > ? ORDER BY step",
      )
      .all(after)
      .map(({ metrics }) => parseFigures<StepMetrics>(metrics));
  }

  evaluations(): StoredEvaluation[] {
    return this.db
      .query<{ id: number; metrics: string }, []>("SELECT id, metrics FROM evaluations ORDER BY id")
      .all()
      .map(({ id, metrics }) => ({ ...parseFigures<Evaluation>(metrics), id }));
  }

  events(after = 0): StoredEvent[] {
    interface Row {
      id: number;
      at_ms: number;
      step: number;
      kind: EventKind;
      text: string;
      data: string | null;
    }
    const rows = this.db
      .query<Row, [number]>("SELECT * FROM events WHERE id > ? ORDER BY id")
      .all(after);
    return rows.map(({ id, at_ms: atMs, step, kind, text, data }) => {
      const event = { id, atMs, step, kind, text };
      return data === null
        ? event
        : { ...event, data: JSON.parse(data) as Record<string, unknown> };
    });
  }

  /** The rollouts of a step or an evaluation, in the order they were written. */
  rollouts(of: RolloutsOf): RolloutSummary[] {
    type Row = Omit<RolloutSummary, "task"> & { task: string };
    const [column, key] = "step" in of ? ["step", of.step] : ["evaluation", of.evaluation];
    const sql = `SELECT id, group_id AS groupId, sample, task, finish,
      json_array_length(turns) AS numTurns, length(roles) AS numTokens, reward, advantage
      FROM rollouts WHERE ${column} = ? ORDER BY id`;
    const rows = this.db.query<Row, [number]>(sql).all(key as number);
    return rows.map((row) => ({ ...row, task: JSON.parse(row.task) as Task }));
  }

  /** One rollout, whole, or undefined where there is none of that id. */
  rollout(id: number): StoredRollout | undefined {
    const sql = `SELECT rollouts.*, prompts.tokens AS prompt_tokens
      FROM rollouts JOIN prompts ON prompts.id = rollouts.prompt WHERE rollouts.id = ?`;
    const row = this.db.query<StoredRolloutRow, [number]>(sql).get(id);
    return row === null ? undefined : this.#stored(row);
  }

  /**
   * Steps and evaluations so far, those at the fewest shots with their samples, for an observer of
   * a run that goes on.
   */
  past(): RunPast {
    const all = this.evaluations();
    const fewest = Math.min(...all.map(({ shots }) => shots));
    const samplesOf = (evaluation: number): Sample[] =>
      this.rollouts({ evaluation }).map(({ id }) => {
        const { rollout, reward } = this.rollout(id)!;
        return { rollout, reward };
      });
    const evaluations = all.map(({ id, ...evaluation }) => ({
      evaluation,
      samples: evaluation.shots === fewest ? samplesOf(id) : [],
    }));
    return { steps: this.steps(), evaluations };
  }

  #stored(row: StoredRolloutRow): StoredRollout {
    const { id, step, evaluation, advantage, reward: total } = row;
    const calls = this.db
      .query<ToolCallRow, [number]>(
        "SELECT * FROM tool_calls WHERE rollout = ? ORDER BY turn, call",
      )
      .all(id);
    const parts = this.db
      .query<{ component: string; value: number }, [number]>(
        "SELECT component, value FROM rewards WHERE rollout = ?",
      )
      .all(id);
    const components = Object.fromEntries(parts.map(({ component, value }) => [component, value]));
    const rollout = rolloutOfRow(row, row.prompt_tokens, calls);
    return { id, step, evaluation, rollout, reward: { total, components }, advantage };
  }

  #requireVersion(): void {
    const version = this.meta("schema_version");
    if (version === `${SCHEMA_VERSION}`) return;
    const which = Number(version) < SCHEMA_VERSION ? "an older" : "another";
    throw new UserError(
      `recorded by ${which} version (schema ${version}, this one reads ${SCHEMA_VERSION})`,
      { where: this.path, hint: "read it with the version that wrote it, or make the run anew" },
    );
  }
}

/** JSON of figures, where null stands for one that was not finite. */
function parseFigures<T>(json: string): T {
  return JSON.parse(json, (_key, value: unknown) => (value === null ? Number.NaN : value)) as T;
}
