// A run with a retriever, and the same run from its recording with the retriever gone.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { RunFolder } from "../../src/run/directory.ts";
import { observeAll, type RunEnd, type RunMessage } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun } from "../../src/train/open-run.ts";
import { type DataFolder, dataFolder } from "../helpers/data-files.ts";
import { serveRetriever } from "../helpers/retriever-server.ts";

setDefaultTimeout(240_000);

let folder: DataFolder;
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
});
afterAll(() => folder[Symbol.dispose]());

async function run(name: string, overrides: readonly string[]) {
  const path = join(folder.path, name);
  const short = [
    "rollout.prompts_per_step=2",
    "rollout.samples_per_prompt=4",
    "stages=[{ shots: 3, steps: 2 }]",
    "eval.limit=4",
    "eval.shots=[3]",
  ];
  const request = { stages: undefined, recipe: "nano", seed: undefined, run: path };
  const all = [...short, ...overrides];
  await using opened = await openRun({ ...request, overrides: all }, "nano");
  const messages: RunMessage[] = [];
  const observer = observeAll([{ onMessage: (message) => void messages.push(message) }]);
  const shouldStop = (): boolean => false;
  const end = await new TrainingLoop({ ...opened, observer, shouldStop }).run(opened.range);
  return { path, end, messages };
}

function recorded(path: string) {
  using reader = new RunFolder(path).openReader();
  const steps = reader.steps();
  const stepRows = steps.flatMap(({ step }) => reader.rollouts({ step }));
  const evaluationRows = reader.evaluations().flatMap((each) =>
    reader.rollouts({ evaluation: each.id }),
  );
  const rows = [...stepRows, ...evaluationRows];
  const texts = rows.map(({ id }) => reader.rollout(id)!.rollout.responseText);
  return { steps, texts, losses: steps.map(({ loss }) => loss) };
}
const figuresOf = ({ tools }: RunEnd) => tools![0]!;

test("a recorded run, run again with its retriever gone, is the same run", async () => {
  const retriever = serveRetriever([["Orn", "The mayor of Orn is Kelmar."]]);
  const url = `tool.search.url=${retriever.url}`;
  const first = await run("first", [url]);
  retriever[Symbol.dispose]();
  const before = recorded(first.path);
  expect(before.texts.some((text) => text.includes("The mayor of Orn is Kelmar."))).toBe(true);
  const distinct = new Set(retriever.queries).size;
  expect(retriever.queries.length).toBe(distinct); // no input was asked for twice, "hello" neither
  expect(figuresOf(first.end)).toMatchObject({ tool: "search", failures: {}, breaker: "closed" });

  const recording = join(first.path, "tools.sqlite");
  const second = await run("second", [url, `replay=${recording}`]);
  const after = recorded(second.path);
  expect(after.texts).toEqual(before.texts);
  // Answers that come sooner make other batches, which round differently.
  after.losses.forEach((loss, i) => expect(loss).toBeCloseTo(before.losses[i]!, 6));
  const { calls, recorded: answered } = figuresOf(second.end);
  expect(answered).toBe(calls);
  expect(existsSync(join(second.path, "tools.sqlite"))).toBe(false);
  for (const { tools, toolFailures } of before.steps) {
    expect(tools.map(({ tool }) => tool)).toEqual(["search"]);
    expect(toolFailures).toBe(0);
  }
});

test("a retriever that fails while a run goes on is a warning once, and figures", async () => {
  const retriever = serveRetriever([["Orn", "The mayor of Orn is Kelmar."]]);
  const settings = ["retries=0", "breaker.failures=2", "breaker.cooldown_ms=1"];
  const overrides = settings.map((each) => `tool.search.${each}`);
  const path = join(folder.path, "failing");
  const all = [`tool.search.url=${retriever.url}`, "eval.limit=4", "eval.shots=[3]", ...overrides];
  const small = ["rollout.prompts_per_step=2", "rollout.samples_per_prompt=4"];
  const stages = "stages=[{ shots: 3, steps: 3 }]";
  const request = { stages: undefined, recipe: "nano", seed: undefined, run: path };
  await using opened = await openRun({ ...request, overrides: [...all, ...small, stages] }, "nano");
  retriever[Symbol.dispose]();
  const warnings: string[] = [];
  const onMessage = ({ level, text }: RunMessage): void => {
    if (level === "warning") warnings.push(text);
  };
  const observer = observeAll([{ onMessage }]);
  const loop = new TrainingLoop({ ...opened, observer, shouldStop: () => false });
  const end = await loop.run(opened.range);
  const told = warnings.filter((text) => text.startsWith("tool search failed 2 times in a row"));
  expect(told.length).toBe(1);
  const { calls, failures } = figuresOf(end);
  expect(Object.values(failures).reduce((sum, count) => sum + count, 0)).toBe(calls);
  expect(failures.error).toBeGreaterThanOrEqual(2);
});
