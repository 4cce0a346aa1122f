import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counters, setThreads } from "../../ffi/native.ts";
import { RunFolder } from "../../src/run/directory.ts";
import { observeAll } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openCheckpoint } from "../../src/train/open-checkpoint.ts";
import { openRun } from "../../src/train/open-run.ts";
import { openSft, type OpenedSft, type SftRequest } from "../../src/train/open-sft.ts";
import { batchOfRows } from "../../src/train/pretrain.ts";
import { fineTune, type SftEnd, type SftStep } from "../../src/train/sft.ts";
import { buildBatches } from "../../src/train/trie.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { refusal } from "../helpers/data-files.ts";

setDefaultTimeout(120_000);

const SHORT = [
  "stages.0.steps=2",
  "rollout.prompts_per_step=8",
  "train.max_batch_tokens=4096",
  "eval.limit=8",
  "eval.shots=[0]",
];

/** A short run of the embedded policy: its rollouts with three demonstrations. */
let folder: string;
let recorded: string;
beforeAll(async () => {
  setThreads(1);
  folder = mkdtempSync(join(tmpdir(), "icrl-sft-"));
  recorded = join(folder, "run");
  const request = { stages: "stage1", recipe: undefined, seed: undefined, run: recorded };
  await using opened = await openRun({ ...request, overrides: SHORT }, "nano");
  const observer = observeAll([]);
  await new TrainingLoop({ ...opened, observer, shouldStop: () => false }).run(opened.range);
});
afterAll(() => rmSync(folder, { recursive: true }));

let outs = 0;
function open(change: Partial<SftRequest> = {}): Promise<OpenedSft> {
  return openSft({
    run: recorded,
    from: "base",
    stages: undefined,
    minReward: 1,
    demonstrations: "drop",
    out: join(folder, `out${++outs}`),
    overrides: [],
    epochs: 3,
    batchSize: 8,
    learningRate: undefined,
    ...change,
  });
}

async function tuned(opened: OpenedSft, stopAfter = Infinity) {
  const steps: SftStep[] = [];
  const observer = {
    onStart: () => undefined,
    onStep: (step: SftStep) => void steps.push(step),
    onEval: () => undefined,
  };
  const shouldStop = (): boolean => steps.length >= stopAfter;
  const end: SftEnd = await fineTune({ ...opened, observer, shouldStop });
  return { end, steps };
}

function recordedRollouts(): Rollout[] {
  using reader = new RunFolder(recorded).openReader();
  const ids = reader.steps().flatMap(({ step }) => reader.rollouts({ step }));
  return ids.map(({ id }) => reader.rollout(id)!.rollout);
}

describe("the examples", () => {
  test("are the rollouts with the reward asked for, each once", async () => {
    await using all = await open({ minReward: -1 });
    await using best = await open();
    expect(all.selection.counts.rollouts).toBe(2 * 8 * 8);
    expect(all.selection.counts.successful).toBe(2 * 8 * 8);
    const { counts, examples } = best.selection;
    expect(counts.successful).toBeGreaterThan(0);
    expect(counts.successful).toBeLessThan(all.selection.counts.successful);
    expect(counts.repeated + examples.length).toBe(counts.successful);
    expect(new Set(examples.map(({ tokens_L }) => tokens_L.join(" "))).size).toBe(examples.length);
  });
  test("kept as they were shown are recorded token rows", async () => {
    await using opened = await open({ demonstrations: "keep" });
    const rows = new Set(recordedRollouts().map(({ tokens_L }) => tokens_L.join(" ")));
    for (const { tokens_L } of opened.selection.examples) {
      expect(rows.has(tokens_L.join(" "))).toBe(true);
    }
  });
  test("without demonstrations are the zero-shot prompt and the response as sampled", async () => {
    await using opened = await open();
    const template = opened.session.shotsTemplate(0);
    const wanted = new Set(
      recordedRollouts().map(({ task, tokens_L, promptTokens }) => {
        const prompt = template.render(task.question).runs.flatMap((run) => [...run]);
        return [...prompt, ...tokens_L.subarray(promptTokens)].join(" ");
      }),
    );
    const shown = opened.session.world.demonstrations[0]!.question;
    for (const { tokens_L } of opened.selection.examples) {
      expect(wanted.has(tokens_L.join(" "))).toBe(true);
      expect(opened.session.tokenizer.decode([...tokens_L])).not.toContain(shown);
    }
  });
  test("carry loss on the policy's tokens and on no other", async () => {
    await using opened = await open();
    const { examples } = opened.selection;
    const observed = examples.filter(({ roles_L }) => roles_L.includes(Role.observation));
    expect(observed.length).toBeGreaterThan(0);
    let targets = 0;
    for (const { sources_N, offsets_N } of buildBatches(examples, { maxTokens: 4096 })) {
      targets += sources_N.length;
      sources_N.forEach((source, n) => {
        expect(examples[source]!.roles_L[offsets_N[n]!]).toBe(Role.policy);
      });
    }
    expect(targets).toBe(opened.selection.counts.tokens);
  });
});

describe("a fine-tuning of the embedded policy", () => {
  let path: string;
  let end: SftEnd;
  let steps: readonly SftStep[];
  let firstLoss: number;
  beforeAll(async () => {
    await using opened = await open({ batchSize: 1000 });
    firstLoss = meanLossOfRows(opened);
    ({ end, steps } = await tuned(opened));
    path = opened.directory.path;
  });

  test("takes as its loss the mean over policy tokens, each under all tokens before it", () => {
    expect(steps[0]!.loss).toBeCloseTo(firstLoss, 5);
  });
  test("lowers it", () => {
    expect(steps.map(({ step, epoch }) => [step, epoch])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(steps[2]!.loss).toBeLessThan(0.9 * steps[0]!.loss);
    expect(end.epochLosses).toEqual(steps.map(({ loss }) => loss));
  });
  test("is evaluated before and after, and leaves a checkpoint to evaluate", async () => {
    const told = end.evaluations.map(({ stage, shots, step }) => `${stage} ${shots} ${step}`);
    expect(told).toEqual(["base 0 0", "sft 0 3"]);
    await using opened = await openCheckpoint(path);
    expect([opened.stage, opened.step]).toEqual(["sft", 3]);
  });
  test("records its losses and evaluations", () => {
    using reader = new RunFolder(path).openReader();
    const losses = reader.events().filter(({ kind }) => kind === "sft_step");
    expect(losses.map(({ data }) => data!.loss)).toEqual(steps.map(({ loss }) => loss));
    expect(reader.evaluations().map(({ stage }) => stage)).toEqual(["base", "sft"]);
  });
  test("is not gone on with by RL", async () => {
    const request = { stages: undefined, recipe: undefined, overrides: [], seed: undefined };
    const line = await refusal(() => openRun({ ...request, run: path }, "nano"));
    expect(line).toStartWith("this run is a fine-tuning, which can't be gone on with");
    expect(line).toContain(`--set policy.model=${path}/checkpoints/sft`);
  });
  test("gives every native object back", () => {
    const { devices, policies, caches, trainers } = counters();
    expect([devices, policies, caches, trainers]).toEqual([0, 0, 0, 0]);
  });
});

/** Each example as a row of its own, every token scored, the mean over those of the policy. */
function meanLossOfRows({ session, selection }: OpenedSft): number {
  let [sum, count] = [0, 0];
  for (const { tokens_L, roles_L } of selection.examples) {
    const { logprobs_N } = session.policy.logprobs(batchOfRows([tokens_L]), 1);
    logprobs_N.forEach((logprob, n) => {
      if (roles_L[n + 1] !== Role.policy) return;
      sum -= logprob;
      count++;
    });
  }
  return sum / count;
}

test("asked to stop, it leaves the policy as it is then", async () => {
  await using opened = await open({ epochs: 9 });
  const { end } = await tuned(opened, 2);
  expect([end.outcome, end.steps, end.evaluations.length]).toEqual(["interrupted", 2, 1]);
  expect(end.checkpoint).toEndWith("checkpoints/sft-step2");
  expect(existsSync(join(end.checkpoint, "model.safetensors"))).toBe(true);
});

test("with adapters only what they adapt changes, and the loss falls", async () => {
  await using opened = await open({ overrides: ["train.lora.rank=8"], learningRate: 0.003 });
  const { policy } = opened.session;
  const read = () => new Map(policy.tensors().map(({ name }) => [name, policy.read(name)]));
  const before = read();
  const { end } = await tuned(opened);
  expect(end.epochLosses.at(-1)!).toBeLessThan(end.epochLosses[0]!);
  for (const [name, values] of read()) {
    const adapted = name.endsWith("_proj.weight");
    expect(values.some((value, i) => value !== before.get(name)![i]), name).toBe(adapted);
  }
});

describe("what is refused, in one line, before anything is written", () => {
  const table: readonly [Partial<SftRequest>, string][] = [
    [{ run: "/none" }, "there is no run here (/none)"],
    [{ from: "stage7" }, 'the run has no checkpoint "stage7"'],
    [{ minReward: 2 }, "none of 128 recorded rollouts has a reward of at least 2"],
    [{ stages: "stage2" }, "no rollout of training is recorded"],
    [{ stages: "stage9" }, '"stage9" is no stage of this recipe'],
    [{ overrides: ["eval.shotz=[0]"] }, 'unknown key "eval.shotz"'],
  ];
  test.each(table)("%p", async (change, line) => {
    const out = join(folder, "refused");
    expect(await refusal(() => open({ ...change, out }))).toStartWith(line);
    expect(existsSync(out)).toBe(false);
  });
  test("a checkpoint in place of a run, with the words for it", async () => {
    const line = await refusal(() => open({ run: "runs/a@stage1" }));
    expect(line).toBe(
      "the rollouts are a run's, not a checkpoint's (runs/a@stage1) - " +
        "--run runs/a --from stage1",
    );
  });
  test("a folder that is there", async () => {
    const line = await refusal(() => open({ out: recorded }));
    expect(line).toContain("this run exists already");
  });
});
