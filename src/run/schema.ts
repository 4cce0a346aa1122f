// The schema of run.sqlite, whole. Everything that a viewer, a resumed run or a plot may want is
// here from the first step; what is derived is computed by whoever asks. L = tokens of the response
// (after the prompt), little-endian.

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { UserError } from "../config/errors.ts";

/** Raised when a change here would make an older reader misread a store. */
export const SCHEMA_VERSION = 2;

export const SCHEMA = `
-- One fact a row: schema_version, created_ms, and what the run wrote about itself (seed, versions).
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- One row an optimizer step. A step, its rollouts, rewards and tool calls are written in one
-- transaction.
CREATE TABLE steps (
  step INTEGER PRIMARY KEY,          -- from 1, over the whole run
  stage TEXT NOT NULL,
  shots INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,            -- the writer's clock
  metrics TEXT NOT NULL              -- StepMetrics as JSON; a figure that is not finite is null
);

-- One row an evaluation: a policy at one number of shots. Its rollouts come in the same
-- transaction.
CREATE TABLE evaluations (
  id INTEGER PRIMARY KEY,
  stage TEXT NOT NULL,               -- "base", or the stage that had just ended
  step INTEGER NOT NULL,             -- steps done when it was made
  shots INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  metrics TEXT NOT NULL              -- Evaluation as JSON
);

-- Token ids of prompts, each once: all samples of a group, and the same question in every
-- evaluation, share theirs.
CREATE TABLE prompts (
  id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE,       -- of tokens
  tokens BLOB NOT NULL               -- int32
);

-- One row a rollout, of a step or of an evaluation.
CREATE TABLE rollouts (
  id INTEGER PRIMARY KEY,
  step INTEGER REFERENCES steps ON DELETE CASCADE,
  evaluation INTEGER REFERENCES evaluations ON DELETE CASCADE,
  group_id TEXT NOT NULL,
  sample INTEGER NOT NULL,
  task TEXT NOT NULL,                -- Task as JSON
  prompt INTEGER NOT NULL REFERENCES prompts,
  tokens BLOB NOT NULL,              -- int32[L]
  roles BLOB NOT NULL,               -- uint8[L]; 1 = policy: those are trained, the loss mask
  logprobs BLOB NOT NULL,            -- float32[L], the sampler's; 0 where the role is not policy
  entropies BLOB NOT NULL,           -- float32[L], likewise
  versions BLOB NOT NULL,            -- int32[L], of the policy that sampled; -1 likewise
  turns TEXT NOT NULL,               -- JSON: [policyStart, policyEnd, observationEnd] a turn
  finish TEXT NOT NULL,              -- FinishReason
  reward REAL NOT NULL,              -- total; components are in rewards
  advantage REAL,                    -- null in evaluations
  response_text TEXT NOT NULL,
  policy_text TEXT NOT NULL,
  CHECK ((step IS NULL) <> (evaluation IS NULL))
);
CREATE INDEX rollouts_of_step ON rollouts (step) WHERE step IS NOT NULL;
CREATE INDEX rollouts_of_evaluation ON rollouts (evaluation) WHERE evaluation IS NOT NULL;

CREATE TABLE rewards (
  rollout INTEGER NOT NULL REFERENCES rollouts ON DELETE CASCADE,
  component TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (rollout, component)
) WITHOUT ROWID;

CREATE TABLE tool_calls (
  rollout INTEGER NOT NULL REFERENCES rollouts ON DELETE CASCADE,
  turn INTEGER NOT NULL,             -- index into turns
  call INTEGER NOT NULL,             -- index into the turn's calls
  tool TEXT NOT NULL,
  input TEXT NOT NULL,
  ok INTEGER NOT NULL,
  reason TEXT,                       -- ToolFailure, null when ok
  text TEXT NOT NULL,                -- what the policy read
  detail TEXT,                       -- for people, null when ok
  latency_ms REAL NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (rollout, turn, call)
) WITHOUT ROWID;

-- What else happened, in order.
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  step INTEGER NOT NULL,
  kind TEXT NOT NULL,                -- EventKind
  text TEXT NOT NULL,
  data TEXT                          -- JSON
);
`;

/** Makes the file, with its schema and nothing in it. */
export function createDatabase(path: string, nowMs: number): void {
  if (existsSync(path)) throw new UserError("the store exists already", { where: path });
  const db = new Database(path, { create: true, strict: true });
  db.run("PRAGMA journal_mode = WAL");
  db.transaction(() => {
    db.run(SCHEMA);
    db.query("INSERT INTO meta VALUES ('schema_version', ?), ('created_ms', ?)").run(
      `${SCHEMA_VERSION}`,
      `${nowMs}`,
    );
  })();
  db.close();
}

export function openDatabase(path: string, { readonly }: { readonly: boolean }): Database {
  if (!existsSync(path)) throw new UserError("no run is recorded here", { where: path });
  const db = new Database(
    path,
    readonly ? { readonly, strict: true } : { readwrite: true, strict: true },
  );
  try {
    db.run("PRAGMA busy_timeout = 10000");
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA foreign_keys = ON");
    db.query("SELECT value FROM meta").get();
    return db;
  } catch (error) {
    db.close();
    throw new UserError(`not a store of a run: ${(error as Error).message}`, { where: path });
  }
}
