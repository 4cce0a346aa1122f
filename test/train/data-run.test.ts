import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { RunFolder } from "../../src/run/directory.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun } from "../../src/train/open-run.ts";
import { observeAll } from "../../src/run/observer.ts";
import { type DataFolder, dataFolder, jsonl, refusal } from "../helpers/data-files.ts";
import { type RetrieverServer, serveRetriever } from "../helpers/retriever-server.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(120_000);

let folder: DataFolder;
let retriever: RetrieverServer;
let recipe: string;
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
  retriever = serveRetriever([["Orn", "Orn lies on the Sil."]]);
  recipe = folder.write("tiny.yaml", tinyRecipe(writeTinyModel(folder.path)));
  for (const [name, count] of [
    ["nq", 6],
    ["hotpot", 4],
  ] as const) {
    const rows = Array.from({ length: count }, (_, i) => {
      return { id: `train_${i}`, question: `what is ${name} ${i}`, golden_answers: ["x"] };
    });
    folder.write(`${name}/train.jsonl`, jsonl(rows));
  }
});
afterAll(() => {
  folder[Symbol.dispose]();
  retriever[Symbol.dispose]();
});

const path = (name: string): string => join(folder.path, name);

async function run(run_: string, overrides: readonly string[], stopAfter = Infinity) {
  const request = { stages: undefined, recipe, overrides, seed: undefined, run: path(run_) };
  await using opened = await openRun(request, "nano");
  let steps = 0;
  const observer = observeAll([{ onStep: () => void steps++ }]);
  const shouldStop = (): boolean => steps >= stopAfter;
  await new TrainingLoop({ ...opened, observer, shouldStop }, opened.checkpoint).run(opened.range);
  return opened;
}
const goOn = async (run_: string, overrides: readonly string[] = []): Promise<void> => {
  const request = { stages: undefined, recipe: undefined, overrides, seed: undefined };
  await using opened = await openRun({ ...request, run: path(run_) }, "nano");
  const parts = { ...opened, observer: observeAll([]), shouldStop: () => false };
  await new TrainingLoop(parts, opened.checkpoint).run(opened.range);
};

/** The tasks that each step asked. */
function asked(run_: string): string[][] {
  using reader = new RunFolder(path(run_)).openReader();
  return reader.steps().map(({ step }) => {
    const ids = reader
      .rollouts({ step })
      .map(({ groupId }) => groupId.split("/").slice(2).join("/"));
    return [...new Set(ids)];
  });
}

function mixed(): string[] {
  const sources = [
    { path: path("nq/train.jsonl"), weight: 2 },
    { path: path("hotpot/*.jsonl"), weight: 1 },
  ];
  const train = `data.train=${JSON.stringify(sources)}`;
  return [train, "data.holdout=2", `tool.search.url=${retriever.url}`];
}

describe("a run on two files, a retriever and the embedded demonstrations", () => {
  test("asks them by weight under their own ids, and the same when it is split", async () => {
    const { session } = await run("whole", mixed());
    expect(session.world.notes).toEqual([
      "nq/train (flashrag): 6 questions of 6 rows",
      "hotpot (flashrag): 4 questions of 4 rows",
      "2 training questions are held out: not trained on",
    ]);
    const steps = asked("whole");
    expect(steps.length).toBe(4);
    for (const ids of steps) {
      expect(ids.filter((id) => id.startsWith("nq/train/")).length).toBe(2);
      expect(ids.filter((id) => id.startsWith("hotpot/")).length).toBe(1);
    }
    await run("split", mixed(), 3);
    await goOn("split");
    expect(asked("split")).toEqual(steps);
  });

  test("does not go on with other data", async () => {
    await run("other", mixed(), 1);
    expect(await refusal(() => goOn("other", ["data.holdout=3"]))).toBe(
      "the data has 5 + 2 questions, and had 6 + 2 - go on with the data that the run began with",
    );
  });
});

describe("a run is refused before its folder is made", () => {
  const table: readonly [claim: string, overrides: () => string[], line: string][] = [
    [
      "without its retriever",
      () => [...mixed(), "tool.search.url=http://127.0.0.1:1/retrieve", "tool.search.retries=0"],
      "the retriever does not answer: ECONNREFUSED",
    ],
    ["without its data", () => [...mixed(), "data.train=none.jsonl"], "there is no such file"],
    [
      "without its demonstrations",
      () => [...mixed(), "demonstrations=none.yaml"],
      "there is no file",
    ],
    ["without its model", () => [...mixed(), "policy.model=acme/none"], "no such model"],
    [
      "with more demonstrations than there are",
      () => [...mixed(), "stages.0.shots=9"],
      "9 demonstrations are wanted and there are 5",
    ],
    ["with a context that fits no question", () => [...mixed(), "rollout.context=64"], "enlarge"],
  ];
  test.each(table)("%s", async (claim, overrides, line) => {
    expect(await refusal(() => run(claim, overrides()))).toContain(line);
    expect(existsSync(path(claim))).toBe(false);
  });
});

describe("a question whose prompt leaves no room for a turn", () => {
  const long = `why ${"so ".repeat(3000)}long`;
  test("is dropped before the run, with a note", async () => {
    mkdirSync(path("long"), { recursive: true });
    const rows = ["a", long, "b", "c"].map((question) => ({ question, answer: "x" }));
    writeFileSync(path("long/train.jsonl"), jsonl(rows));
    const validation = [{ question: "d", answer: "x" }];
    writeFileSync(path("long/dev.jsonl"), jsonl(validation));
    const { session } = await run("long run", [
      `data.train=${path("long/train.jsonl")}`,
      `data.validation=${path("long/dev.jsonl")}`,
      `tool.search.url=${retriever.url}`,
    ]);
    expect(session.world.train.map(({ id }) => id)).toEqual(
      ["1", "3", "4"].map((n) => `long/train/${n}`),
    );
    expect(session.world.notes.at(-1)).toBe(
      "1 questions dropped: their prompts have more than 4088 tokens",
    );
  });
  test("and a context that no question fits are refused", async () => {
    const overrides = [...mixed(), "rollout.context=64"];
    expect(await refusal(() => run("small", overrides))).toContain(
      "and a context of 64 with turns of 8 leaves 56 (rollout.context) - enlarge it, or show fewer",
    );
  });
});
