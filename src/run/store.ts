// run.sqlite: everything a run records, written by one process and read by any number at the same
// time (WAL). The schema is in schema.ts. A step is one transaction: after a kill it is whole or
// absent. Not the weights: those are checkpoint folders. With synchronous=NORMAL a power cut may
// cost the last steps, never the file.

import type { SQLQueryBindings } from "bun:sqlite";
import type { Rollout, Sample } from "../types.ts";
import type { RunEvent } from "./events.ts";
import type { Evaluation, StepMetrics } from "./metrics.ts";
import { RunReader } from "./reader.ts";
import type { RolloutsOf, StoredEvaluation } from "./reader.ts";
import { bytesOf, rolloutRow, toolCallRows } from "./rows.ts";
import { createDatabase, openDatabase } from "./schema.ts";

/** A sample as the update saw it. */
export interface TrainedSample {
  readonly sample: Sample;
  readonly advantage: number;
}
export interface StepRecord {
  readonly metrics: StepMetrics;
  readonly samples: Iterable<TrainedSample>;
}

export class RunStore extends RunReader {
  /** The clock of the time stamps, in milliseconds. */
  readonly #now: () => number;

  private constructor(path: string, now: () => number) {
    super(path, openDatabase(path, { readonly: false }));
    this.#now = now;
  }

  /** A new, empty store. */
  static create(path: string, now: () => number = Date.now): RunStore {
    createDatabase(path, now());
    return new RunStore(path, now);
  }

  static override open(path: string, now: () => number = Date.now): RunStore {
    return new RunStore(path, now);
  }

  writeStep({ metrics, samples }: StepRecord): void {
    this.db.transaction(() => {
      this.db
        .query("INSERT INTO steps VALUES (?, ?, ?, ?, ?)")
        .run(metrics.step, metrics.stage, metrics.shots, this.#now(), JSON.stringify(metrics));
      for (const { sample, advantage } of samples)
        this.#writeSample(sample, { step: metrics.step }, advantage);
    })();
  }

  writeEvaluation(evaluation: Evaluation, samples: Iterable<Sample>): StoredEvaluation {
    return this.db.transaction(() => {
      const { stage, step, shots } = evaluation;
      const id = this.#insert(
        "INSERT INTO evaluations (stage, step, shots, at_ms, metrics) VALUES (?, ?, ?, ?, ?)",
        [stage, step, shots, this.#now(), JSON.stringify(evaluation)],
      );
      for (const sample of samples) this.#writeSample(sample, { evaluation: id }, null);
      return { ...evaluation, id };
    })();
  }

  writeEvent(event: RunEvent): void {
    const data = event.data === undefined ? null : JSON.stringify(event.data);
    this.db
      .query("INSERT INTO events (at_ms, step, kind, text, data) VALUES (?, ?, ?, ?, ?)")
      .run(this.#now(), event.step, event.kind, event.text, data);
  }

  setMeta(key: string, value: string): void {
    this.db
      .query("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
      .run(key, value);
  }

  /**
   * Forgets the steps after `step` and their evaluations, so that a run can go on from there.
   * Returns how many steps.
   */
  discardAfter(step: number): number {
    return this.db.transaction(() => {
      this.db.query("DELETE FROM evaluations WHERE step > ?").run(step);
      return this.db.query("DELETE FROM steps WHERE step > ? RETURNING step").all(step).length;
    })();
  }

  /** Runs an INSERT and returns the new row's id. */
  #insert(sql: string, values: SQLQueryBindings[]): number {
    return Number(this.db.query(sql).run(...values).lastInsertRowid);
  }

  #writeSample({ rollout, reward }: Sample, of: RolloutsOf, advantage: number | null): void {
    const row = rolloutRow(rollout);
    const [step, evaluation] = "step" in of ? [of.step, null] : [null, of.evaluation];
    const values: SQLQueryBindings[] = [
      step,
      evaluation,
      row.group_id,
      row.sample,
      row.task,
      this.#promptId(rollout),
    ];
    values.push(row.tokens, row.roles, row.logprobs, row.entropies, row.versions);
    values.push(row.turns, row.finish, reward.total, advantage, row.response_text, row.policy_text);
    const id = this.#insert(
      `INSERT INTO rollouts VALUES (NULL${", ?".repeat(values.length)})`,
      values,
    );
    const insertReward = this.db.query("INSERT INTO rewards VALUES (?, ?, ?)");
    for (const [component, value] of Object.entries(reward.components))
      insertReward.run(id, component, value);
    const insertCall = this.db.query(`INSERT INTO tool_calls VALUES (?${", ?".repeat(10)})`);
    for (const row of toolCallRows(rollout)) {
      const { turn, call, tool, input, ok, reason, text, detail, latency_ms: ms, attempts } = row;
      insertCall.run(id, turn, call, tool, input, ok, reason, text, detail, ms, attempts);
    }
  }

  #promptId(rollout: Rollout): number {
    const tokens = bytesOf(rollout.tokens_L.subarray(0, rollout.promptTokens));
    const sha256 = new Bun.CryptoHasher("sha256").update(tokens).digest();
    const known = this.db
      .query<{ id: number }, [Uint8Array]>("SELECT id FROM prompts WHERE sha256 = ?")
      .get(sha256);
    return (
      known?.id ??
      this.#insert("INSERT INTO prompts (sha256, tokens) VALUES (?, ?)", [sha256, tokens])
    );
  }
}
