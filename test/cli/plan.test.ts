import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseShape } from "../../src/cli/plan-shape.ts";
import { bytesText, parseBytes } from "../../src/config/bytes.ts";
import { PUBLISHED_MODELS, publishedConfig } from "../../src/model/published.ts";
import { cardBytes } from "../../src/train/plan/cards.ts";
import { numParameters } from "../../src/train/plan/engine-shape.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder } from "../helpers/data-files.ts";

interface PlannedStage {
  readonly name: string;
  readonly shots: number;
  readonly shared: number;
  readonly trie_ratio: number;
}
const falling = (values: readonly number[]): number[] => values.toSorted((a, b) => b - a);

test("the default recipe: every stage with its prompt, trie and micro-batches", async () => {
  const { code, stdout } = await icrl(".", "plan", "--json", "--memory", "2GiB");
  expect(code).toBe(0);
  const plan = JSON.parse(stdout);
  const stages = plan.stages as readonly PlannedStage[];
  expect(stages.map(({ name, shots }) => [name, shots])).toEqual([
    ["stage1", 3],
    ["stage2", 2],
    ["stage3", 0],
  ]);
  const shared = stages.map((stage) => stage.shared);
  expect(shared).toEqual(falling(shared));
  const ratios = stages.map((stage) => stage.trie_ratio);
  expect(ratios).toEqual(falling(ratios));
  const [tokens, layers, heads, dim, bytes] = [131072, 4, 2, 32, 4] as const;
  expect(plan.resident.cache).toBe(2 * tokens * layers * heads * dim * bytes); // keys and values
  expect(plan.peak_bytes).toBeLessThanOrEqual(plan.budget_bytes);
  expect(plan.budget_bytes).toBe(2 * 2 ** 30);
});

test("with a shape no questions are read, and a tighter memory computes layers again", async () => {
  const nowhere = ["data.train=[{path: none.jsonl}]", "tool.search.url=http://127.0.0.1:1"];
  const plan = async (memory: string) => {
    const args = ["--shape", "540,100,96", ...nowhere.flatMap((each) => ["--set", each])];
    return JSON.parse((await icrl(".", "plan", "--json", ...args, "--memory", memory)).stdout);
  };
  const [roomy, tight] = [await plan("2GiB"), await plan("450MiB")];
  expect(roomy.stages[0].batches.recomputed).toBe(0);
  const { recomputed, count } = tight.stages[0].batches;
  expect(recomputed + count).toBeGreaterThan(1);
  expect(tight.peak_bytes).toBeLessThanOrEqual(450 * 2 ** 20);
});

test("what cannot fit is refused with numbers, in one line", async () => {
  const { code, stderr } = await icrl(".", "plan", "--memory", "100MiB");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^icrl: 273\.\d MiB are needed before any rollout \(.*cache 256\.0 MiB\)/);
  expect(stderr).toContain("100.0 MiB are there");
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("a model of which only the settings are here, for a device that is not", async () => {
  using folder = dataFolder();
  const model = join(folder.path, "model");
  mkdirSync(model);
  writeFileSync(join(model, "config.json"), JSON.stringify(QWEN_3B));
  const recipe = ["--recipe", "search-qwen2.5-3b", "--set", `policy.model=${model}`];
  const where = ["--device", "cuda", "--memory", "141GiB", "--shape", "1500,100,400,2,500"];
  const { code, stdout } = await icrl(".", "plan", ...recipe, ...where);
  expect(code).toBe(0);
  expect(stdout).toContain("3085.94 M parameters, bf16 on cuda");
  const resident = ["weights 5.7", "gradients 11.5", "optimizer 34.5", "KL reference 5.7"];
  const lines = stdout.replaceAll(/ +/g, " ").split("\n");
  expect(lines).toEqual(expect.arrayContaining(resident.map((line) => `${line} GiB`)));
  expect(stdout).toContain("an estimate that no device has confirmed yet");
});

const ON_CARD = ["plan", "--recipe", "search-qwen2.5-3b", "--set", "policy.model=Qwen/Qwen2.5-3B"];

test("a card that is not here, and a model of which nothing is: its published sizes will do", async () => {
  const given = ["--card", "h200", "--shape", "1500,100,400,2,100", "--json"];
  const { code, stdout } = await icrl(".", ...ON_CARD, ...given);
  expect(code).toBe(0);
  const plan = JSON.parse(stdout);
  expect([plan.parameters, plan.device, plan.dtype]).toEqual([3_085_938_688, "cuda", "bf16"]);
  expect(plan.budget_bytes).toBe(Math.floor(0.9 * cardBytes("h200"))); // as on the card itself
  expect(plan.peak_bytes).toBeLessThan(plan.budget_bytes);
});

test.each([
  ["search-qwen2.5-3b", [6, 11, 34, 6]], // GiB of weights, gradients, optimizer, reference or base
  ["search-qwen2.5-7b", [14, 28, 14, 14]],
  ["search-qwen2.5-14b", [28, 1, 2, 28]],
])("%s at the paper's shape fits one H200 on paper", async (recipe, expected) => {
  const args = ["plan", "--recipe", recipe, "--card", "h200", "--shape", "1500,100,400,2,100"];
  const { code, stdout } = await icrl(".", ...args, "--json");
  expect(code).toBe(0);
  const { resident, peak_bytes: peak, budget_bytes: budget } = JSON.parse(stdout);
  const { weights, gradients, optimizer, reference, base } = resident;
  const parts = [weights, gradients, optimizer, reference + base].map((each) => each / 2 ** 30);
  expect(parts.map(Math.round)).toEqual(expected);
  expect(peak).toBeLessThanOrEqual(budget);
});

test.each([
  [["--card", "h20"], /there is no card "h20" here .*did you mean "h200"/],
  [["--card", "h200", "--memory", "1GiB"], /a card and --memory contradict each other/],
  [["--card", "h200", "--device", "cpu"], /a card and --device cpu contradict each other/],
  [["--card", "l4", "--shape", "1500,100,400"], /66\.\d GiB are needed before any rollout .*optimizer 34\.5/],
  [["--card", "h200"], /whose tokenizer counts the prompts, is not here .*--shape/],
])("plan %p is refused in one line", async (args, message) => {
  const { code, stderr } = await icrl(".", ...ON_CARD, ...args);
  expect(code).toBeGreaterThan(0);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("published sizes add up to the published numbers of parameters", () => {
  const millions = Object.fromEntries(
    PUBLISHED_MODELS.map((name) => [name, Math.round(numParameters(publishedConfig(name)!) / 1e6)]),
  );
  expect(millions).toEqual({
    "Qwen/Qwen2.5-0.5B": 494,
    "Qwen/Qwen2.5-1.5B": 1544,
    "Qwen/Qwen2.5-3B": 3086,
    "Qwen/Qwen2.5-7B": 7616,
    "Qwen/Qwen2.5-14B": 14770,
    "Qwen/Qwen3-0.6B": 596,
    "Qwen/Qwen3-1.7B": 1721,
    "Qwen/Qwen3-4B": 4022,
    "Qwen/Qwen3-8B": 8191,
    "Qwen/Qwen3-14B": 14768,
  });
});

const QWEN_3B = {
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  hidden_size: 2048,
  num_hidden_layers: 36,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  intermediate_size: 11008,
  vocab_size: 151936,
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  tie_word_embeddings: true,
  hidden_act: "silu",
  eos_token_id: 151645,
};

test("a shape's empty fields are left to the recipe", () => {
  expect(parseShape("540,100,96")).toEqual({ shared: 540, own: 100, sampled: 96 });
  expect(parseShape(",,400,3,500")).toEqual({ sampled: 400, turns: 3, observation: 500 });
  for (const wrong of ["1,x", "1.5", "0,0", "1,1,1,1,1,1", "1,1,-1"]) {
    expect(() => parseShape(wrong)).toThrow("is no value for --shape");
  }
});

test("amounts of memory are read and written in powers of 1024", () => {
  expect(parseBytes("24GiB")).toBe(24 * 2 ** 30);
  expect(parseBytes("1.5 TiB")).toBe(1.5 * 2 ** 40);
  expect(parseBytes(4096)).toBe(4096);
  for (const wrong of ["24GB", "-1GiB", "", "0"]) expect(() => parseBytes(wrong)).toThrow("amount");
  expect([0, 812, 3.4 * 2 ** 20, 24 * 2 ** 30].map(bytesText)).toEqual([
    "0 B",
    "812 B",
    "3.4 MiB",
    "24.0 GiB",
  ]);
});
