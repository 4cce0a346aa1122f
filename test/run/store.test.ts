import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunReader } from "../../src/run/reader.ts";
import { RunStore } from "../../src/run/store.ts";
import { evaluation, goodCall, lateCall, sample, stepMetrics } from "../helpers/run-records.ts";

let folder: string;
let numStores = 0;
const freshPath = (): string => join(folder, `${++numStores}.sqlite`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "icrl-store-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const samples = [
  sample("1:a", 0, { calls: [goodCall, lateCall] }),
  sample("1:a", 1),
  sample("1:b", 0, { promptTokens: 3, calls: [[goodCall, lateCall], goodCall] }),
];

describe("a store", () => {
  test("gives every rollout, reward and tool call of a step back as it was", () => {
    using store = RunStore.create(freshPath());
    store.writeStep({
      metrics: stepMetrics(1),
      samples: samples.map((each, i) => ({ sample: each, advantage: i - 1 })),
    });
    const stored = store.rollouts({ step: 1 }).map(({ id }) => store.rollout(id)!);
    expect(stored.map(({ rollout, reward }) => ({ rollout, reward }))).toEqual(samples);
    expect(stored.map(({ advantage }) => advantage)).toEqual([-1, 0, 1]);
    expect(stored[0]).toMatchObject({ step: 1, evaluation: null });
  });

  test("gives step metrics back in order, and only those after the one that a viewer has", () => {
    using store = RunStore.create(freshPath());
    const all = [1, 2, 3].map((step) => stepMetrics(step, { reward: step / 10 }));
    for (const metrics of all) store.writeStep({ metrics, samples: [] });
    expect(store.steps()).toEqual(all);
    expect(store.steps(2)).toEqual(all.slice(2));
    expect(store.lastStep()).toBe(3);
  });

  test("keeps a figure that is not finite as not a number", () => {
    using store = RunStore.create(freshPath());
    store.writeStep({ metrics: stepMetrics(1, { gradNorm: Infinity, kl: NaN }), samples: [] });
    expect(store.steps()[0]).toMatchObject({ gradNorm: NaN, kl: NaN, em: 0.4 });
  });

  test("lists a step's rollouts without their tokens", () => {
    using store = RunStore.create(freshPath());
    store.writeStep({
      metrics: stepMetrics(1),
      samples: samples.map((each) => ({ sample: each, advantage: 0 })),
    });
    const [first] = store.rollouts({ step: 1 });
    expect(first).toMatchObject({
      groupId: "1:a",
      sample: 0,
      finish: "answer",
      numTurns: 3,
      numTokens: 21,
      reward: 0.8,
    });
    expect(first!.task.golds).toEqual(["Ivo", "Ivo Ran"]);
  });

  test("keeps evaluations with their rollouts, and gives the fewest shots back as the past", () => {
    using store = RunStore.create(freshPath());
    store.writeEvaluation(evaluation("base", 0, 0), samples.slice(0, 1));
    store.writeEvaluation(evaluation("base", 3, 0.5), samples.slice(1));
    expect(store.evaluations().map(({ shots, em }) => [shots, em])).toEqual([
      [0, 0],
      [3, 0.5],
    ]);
    expect(store.past().evaluations.map((each) => each.samples)).toEqual([samples.slice(0, 1), []]);
    expect(store.rollout(1)!.advantage).toBeNull();
  });

  test("stores a prompt once, however many rollouts share it", () => {
    const path = freshPath();
    using store = RunStore.create(path);
    const group = Array.from({ length: 8 }, (_, i) => ({
      sample: sample("g", i, { promptTokens: 5 }),
      advantage: 0,
    }));
    store.writeStep({ metrics: stepMetrics(1), samples: group });
    expect(countRows(path, "prompts")).toBe(1);
    expect(countRows(path, "rollouts")).toBe(8);
  });

  test("keeps events in order with their data and the clock's time", () => {
    using store = RunStore.create(freshPath(), () => 1234);
    store.writeEvent({ kind: "stage_start", step: 0, text: "stage1", data: { shots: 3 } });
    store.writeEvent({ kind: "warning", step: 2, text: "slow" });
    expect(store.events()).toEqual([
      { id: 1, atMs: 1234, kind: "stage_start", step: 0, text: "stage1", data: { shots: 3 } },
      { id: 2, atMs: 1234, kind: "warning", step: 2, text: "slow" },
    ]);
    expect(store.events(1)).toHaveLength(1);
  });

  test("forgets the steps after one, with their rollouts, rewards, calls and evaluations", () => {
    const path = freshPath();
    using store = RunStore.create(path);
    for (const step of [1, 2, 3]) {
      store.writeStep({
        metrics: stepMetrics(step),
        samples: samples.map((each) => ({ sample: each, advantage: 0 })),
      });
    }
    store.writeEvaluation(evaluation("stage1", 0, 0.5, { step: 3 }), samples);
    expect(store.discardAfter(1)).toBe(2);
    expect([
      countRows(path, "rollouts"),
      countRows(path, "rewards"),
      countRows(path, "tool_calls"),
    ]).toEqual([3, 6, 5]);
    expect(store.evaluations()).toEqual([]);
  });

  test("is read by another connection while it is written", () => {
    const path = freshPath();
    using store = RunStore.create(path);
    using reader = RunReader.open(path);
    store.writeStep({ metrics: stepMetrics(1), samples: [] });
    expect(reader.lastStep()).toBe(1);
  });

  test("refuses the same step twice and keeps the first", () => {
    using store = RunStore.create(freshPath());
    store.writeStep({ metrics: stepMetrics(1, { em: 0.1 }), samples: [] });
    expect(() => store.writeStep({ metrics: stepMetrics(1, { em: 0.2 }), samples: [] })).toThrow();
    expect(store.steps().map(({ em }) => em)).toEqual([0.1]);
  });

  test("refuses a rollout whose arrays differ in length, and leaves no part of its step", () => {
    using store = RunStore.create(freshPath());
    const { rollout, reward } = samples[0]!;
    const broken = { rollout: { ...rollout, roles_L: rollout.roles_L.slice(1) }, reward };
    const record = {
      metrics: stepMetrics(1),
      samples: [samples[1]!, broken].map((each) => ({ sample: each, advantage: 0 })),
    };
    expect(() => store.writeStep(record)).toThrow("28 tokens, arrays of 27");
    expect(store.lastStep()).toBe(0);
  });

  test("of another schema, or no store at all, is refused in one line", () => {
    const path = freshPath();
    using store = RunStore.create(path);
    store.setMeta("schema_version", "99");
    expect(() => RunReader.open(path)).toThrow(
      "recorded by another version (schema 99, this one reads 2)",
    );
    store.setMeta("schema_version", "1");
    expect(() => RunReader.open(path)).toThrow("an older version (schema 1, this one reads 2)");
    expect(() => RunReader.open(freshPath())).toThrow("no run is recorded here");
    const text = freshPath();
    writeFileSync(text, "not a database, but long enough to look at: ".repeat(50));
    expect(() => RunReader.open(text)).toThrow("not a store of a run");
  });
});

describe("a writer killed in the middle of a step", () => {
  test("leaves whole steps only, and the store goes on", async () => {
    const path = freshPath();
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "killed-writer.ts"), path], {
      stderr: "inherit",
    });
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    using store = RunStore.open(path);
    expect(store.steps().map(({ step }) => step)).toEqual([1, 2]);
    expect(countRows(path, "rollouts")).toBe(2);
    store.writeStep({ metrics: stepMetrics(3), samples: [] });
    expect(store.lastStep()).toBe(3);
  });
});

function countRows(path: string, table: string): number {
  using db = new Database(path, { readonly: true });
  return db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n;
}
