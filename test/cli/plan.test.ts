import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseShape } from "../../src/cli/plan-shape.ts";
import { bytesText, parseBytes } from "../../src/config/bytes.ts";
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
