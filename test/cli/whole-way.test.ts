// What a person does, once and in order, each step with what the one before left: a model is
// pulled, data looked at, a recipe written out and edited, a run trained and evaluated, the base
// fine-tuned on its rollouts, its policy exported and, where ICRL_TEST_PYTHON names a Python with
// torch and transformers, loaded there.
// The model is a tiny one of Qwen2.5's family with its tokenizer, which needs npm's registry once.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { diskFolder } from "../../src/model/byte-source.ts";
import { ANSWER_MODES } from "../../src/train/answer-modes.ts";
import { type Finished, icrlIn } from "../helpers/cli.ts";
import { type DataFolder, dataFolder } from "../helpers/data-files.ts";
import { relativeError } from "../helpers/engine.ts";
import { fixture } from "../helpers/fixtures.ts";
import { HubServer } from "../helpers/hub-server.ts";
import { ANSWER, questionFile } from "../helpers/question-rows.ts";
import { type RetrieverServer, serveRetriever } from "../helpers/retriever-server.ts";
import { writeTinyFamily } from "../helpers/tiny-family.ts";

setDefaultTimeout(300_000);

const MODEL = "acme/Tiny-Qwen2.5";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TEXTS = [`<search> ${ANSWER} </search>`, `<answer> ${ANSWER} </answer>`];
const FILES = ["data/nq/train.jsonl", "data/nq/test.jsonl", "data/hotpotqa/dev.jsonl"] as const;
const [TRAIN, ...HELD_OUT] = FILES;
/** By which three stages take seconds. */
const SHORT = [
  "policy.cache_tokens=32768",
  "rollout.prompts_per_step=2",
  "rollout.samples_per_prompt=4",
  "rollout.max_turn_tokens=32",
  "rollout.max_new_tokens=64",
  "train.learning_rate=1e-3",
  "eval.limit=4",
  ...[0, 1, 2].map((stage) => `stages.${stage}.steps=1`),
].flatMap((setting) => ["--set", setting]);

const name = "the whole way of a person (needs npm's registry once)";
describe.skipIf(fixture("qwen2_5") === undefined)(name, () => {
  let work: DataFolder;
  let hub: HubServer;
  let retriever: RetrieverServer;
  const path = (name: string): string => join(work.path, name);

  beforeAll(() => {
    setThreads(1);
    work = dataFolder();
    retriever = serveRetriever([[ANSWER, `${ANSWER} is the capital of France.`]]);
    const made = diskFolder(writeTinyFamily(path("made"), "qwen2_5", TEXTS)!);
    const files = Object.fromEntries(made.list().map((file) => [file, made.bytes(file)]));
    hub = new HubServer({ [MODEL]: { commit: COMMIT, files, lfsBytes: 1e6 } });
    for (const file of FILES) work.write(file, questionFile(file, file === TRAIN ? 20 : 6));
  });
  afterAll(() => {
    hub[Symbol.dispose]();
    retriever[Symbol.dispose]();
    work[Symbol.dispose]();
  });

  async function icrl(...args: string[]): Promise<Finished> {
    const env = { HF_HOME: path("hf"), HF_HUB_CACHE: "", HF_ENDPOINT: hub.endpoint };
    const done = await icrlIn({ cwd: work.path, env }, args);
    if (done.code !== 0) throw new Error(`icrl ${args.join(" ")}: ${done.stderr}`);
    return done;
  }
  /** The last line that a command prints. */
  async function asked(...args: string[]): Promise<Record<string, unknown>> {
    const { stdout } = await icrl(...args, "--json");
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, unknown>;
  }

  test("pull: the model is in the cache", async () => {
    const { stdout } = await icrl("pull", MODEL);
    expect(existsSync(join(stdout.trim(), "model.safetensors"))).toBe(true);
  });

  test("data: the file is understood, in the model's tokens", async () => {
    const { sources, prompts } = await asked("data", TRAIN, "--model", MODEL);
    expect(sources).toMatchObject([{ name: "nq/train", questions: 20, tooLong: [] }]);
    const tokens = (prompts as { tokens: number }[]).map((prompt) => prompt.tokens);
    expect(tokens.every((count) => count > 1000)).toBe(true); // three demonstrations
  });

  test("init: a recipe is written out, edited, and finds model and data", async () => {
    await icrl("init", "search-qwen2.5-3b", "mine.yaml");
    const edits = [
      ["Qwen/Qwen2.5-3B-Instruct", MODEL],
      ["device: cuda", "device: cpu"],
      ["dtype: bf16", "dtype: f32"],
      ["http://127.0.0.1:8000/retrieve", retriever.url],
    ] as const;
    const lines = readFileSync(path("mine.yaml"), "utf8").split("\n");
    const edited = (line: string): string =>
      edits.reduce((text, [from, to]) => text.replace(from, to), line);
    const own = lines.map((line) => (line.startsWith("#") ? line : edited(line)));
    writeFileSync(path("mine.yaml"), own.join("\n"));
    const { recipe, run } = await asked("data", "--recipe", "mine.yaml");
    expect([recipe, run]).toMatchObject(["search-qwen2.5-3b", { train: 18, validation: 2 }]);
  });

  test("run: three stages train, with calls of the tool", async () => {
    const { steps } = await asked("run", "--recipe", "mine.yaml", "--run", "mine", ...SHORT);
    expect(steps).toBe(3);
    expect(retriever.queries).toContain(ANSWER);
  });

  for (const mode of ANSWER_MODES) {
    test(`eval: mode ${mode} has figures for each benchmark`, async () => {
      const report = await asked("eval", "--run", "mine", "--mode", mode, "--data", ...HELD_OUT);
      expect(report).toMatchObject({ stage: "stage3", mode });
      const benchmarks = report["benchmarks"] as Record<string, unknown>[];
      expect(benchmarks.map(({ name, num_questions: count }) => `${name} ${count}`)).toEqual([
        "nq/test 4",
        "hotpotqa/dev 4",
      ]);
      for (const { em, tool_calls: calls } of benchmarks) {
        expect(em).toBeGreaterThanOrEqual(0);
        if (mode === "rag") expect(calls).toBe(1);
        if (mode === "direct" || mode === "cot") expect(calls).toBe(0);
      }
    });
  }

  test("sft: the base learns from the run's successful rollouts, and evaluates", async () => {
    const tuned = ["--run", "mine", "--min-reward", "0.8", "--out", "tuned"];
    const ended = await asked("sft", ...tuned, "--epochs", "2", "--batch-size", "4");
    const [first, last] = ended["epoch_losses"] as [number, number];
    expect(last).toBeLessThan(first);
    await asked("eval", "--run", "tuned", "--data", ...HELD_OUT);
  });

  test("export: the folder is the checkpoint's policy, and not the base", async () => {
    await icrl("export", "mine@stage3", "--out", "exported");
    const score = async (model: string) =>
      (await asked("score", "--model", model, "--ids", "9707,11,1879,0"))["logprobs"];
    const exported = await score("exported");
    expect(exported).toEqual(await score("mine/checkpoints/stage3"));
    expect(exported).not.toEqual(await score(MODEL));
    const same = ["--recipe", "mine.yaml", "--data", ...HELD_OUT, ...SHORT];
    const own = await asked("eval", "--run", "mine", "--data", ...HELD_OUT);
    const again = await asked("eval", "--model", "exported", ...same);
    expect(again["benchmarks"]).toEqual(own["benchmarks"]);
  });

  const python = process.env["ICRL_TEST_PYTHON"];
  test.skipIf(python === undefined)("transformers: the same tokens and logprobs", async () => {
    const text = `What is it?\n<search> caf\u00e9, don't </search>\n${"  "}<|im_end|>\n12345`;
    const file = work.write("text.txt", text);
    const ours = await asked("score", "--model", "exported", "--text-file", file);
    const ids = ours["ids"] as number[];
    const script = join(import.meta.dir, "../golden/check_folder.py");
    const command = [python!, script, path("exported"), ids.join(","), text];
    const env = { ...process.env, HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: "1" };
    const loaded = Bun.spawnSync(command, { env, stderr: "pipe" });
    if (!loaded.success) throw new Error(loaded.stderr.toString());
    const theirs = JSON.parse(loaded.stdout.toString().trim().split("\n").at(-1)!);
    expect(theirs).toMatchObject({ problems: {}, encoded: ids });
    const [wanted, got] = [theirs, ours].map(({ logprobs }) => logprobs.slice(1) as number[]);
    expect(relativeError(got!, wanted!)).toBeLessThan(1e-5);
  });
});
