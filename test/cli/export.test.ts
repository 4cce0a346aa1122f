import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFolder } from "../../src/model/model-folder.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(120_000);

const main = join(import.meta.dir, "../../src/main.ts");
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "icrl-cli-export-"));
  writeFileSync(join(folder, "tiny.yaml"), tinyRecipe(writeTinyModel(folder)));
  const trained = await icrl("run", "stage1..1", "--recipe", "tiny.yaml", "--run", "a", "--json");
  expect([trained.code, trained.stderr]).toEqual([0, ""]);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function icrl(...args: string[]) {
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const command = [process.execPath, main, ...args];
  const child = Bun.spawn(command, { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

const weights = (path: string) => {
  using opened = openFolder(path);
  const { source, entry } = opened.tensors.get("model.norm.weight")!;
  return { dtype: entry.dtype, bytes: source.read(entry.offset, entry.byteLength) };
};

test("the last checkpoint, a named one and the base are model folders without run state", async () => {
  for (const [spec, out, stage] of [
    ["a", "last", "stage1 (step 2)"],
    ["a@stage1", "named", "stage1 (step 2)"],
    ["a@base", "base", "base (step 0)"],
  ] as const) {
    const { code, stdout, stderr } = await icrl("export", spec, "--out", out);
    expect([code, stdout, stderr]).toEqual([0, `${out}  ${stage}, f32\n`, ""]);
    const files = ["config.json", "model.safetensors", "tokenizer.json"];
    expect(readdirSync(join(folder, out)).toSorted()).toEqual(files);
  }
  const last = weights(join(folder, "last"));
  expect(last).toEqual(weights(join(folder, "a", "checkpoints", "stage1")));
  expect(last.bytes).not.toEqual(weights(join(folder, "base")).bytes);
});

test("--adapter writes what LoRA trained and names its base; without LoRA it is refused", async () => {
  const lora = ["--set", "train.lora.rank=2", "--set", "train.lora.alpha=4"];
  const run = ["run", "stage1..1", "--recipe", "tiny.yaml", "--run", "adapted", "--json"];
  expect((await icrl(...run, ...lora)).code).toBe(0);
  const { stdout, stderr } = await icrl("export", "adapted", "--adapter", "--out", "lora");
  const base = join(folder, "tiny");
  const line = `lora  stage1 (step 2), f32, an adapter of ${base}\n`;
  expect([stdout, stderr]).toEqual([line, ""]);
  const files = ["adapter_config.json", "adapter_model.safetensors"];
  expect(readdirSync(join(folder, "lora")).toSorted()).toEqual(files);
  const merged = await icrl("export", "adapted", "--out", "merged");
  expect([merged.code, merged.stderr]).toEqual([0, ""]);
  expect(readdirSync(join(folder, "merged"))).not.toContain("adapter_config.json");
  for (const spec of ["a", "adapted@base"]) {
    const refused = await icrl("export", spec, "--adapter", "--out", "nothing");
    expect([refused.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toMatch(/^icrl: no adapter was trained here .*\n$/);
  }
  expect(readdirSync(folder)).not.toContain("nothing");
});

test("--dtype bf16 halves the weights, and what was exported scores and is a model", async () => {
  await icrl("export", "a", "--out", "half", "--dtype", "bf16");
  expect(weights(join(folder, "half")).dtype).toBe("BF16");
  const { code, stderr } = await icrl("score", "--model", "half", "--ids", "1,2", "--json");
  expect([code, stderr]).toEqual([0, ""]);
});

const REFUSED: readonly [readonly string[], number, string][] = [
  [["none", "--out", "x"], 1, "icrl: there is no run here (none) - it has no recipe.yaml\n"],
  [
    ["a@stage9", "--out", "x"],
    1,
    'icrl: the run has no checkpoint "stage9" (RUN) - it has: stage1\n',
  ],
  [["a", "--out", "full"], 1, "icrl: exists already (full) - name a new folder with --out\n"],
];
for (const [args, status, message] of REFUSED) {
  test(`icrl export ${args.join(" ")} is refused in one line and writes nothing`, async () => {
    mkdirSync(join(folder, "full", "of", "files"), { recursive: true });
    const { code, stdout, stderr } = await icrl("export", ...args);
    expect([code, stdout]).toEqual([status, ""]);
    expect(stderr.replace(join(folder, "a"), "RUN")).toBe(message);
    expect(readdirSync(folder)).not.toContain("x");
    expect(readdirSync(join(folder, "full"))).toEqual(["of"]);
  });
}

test("a dtype that is none is wrong usage", async () => {
  const { code, stderr } = await icrl("export", "a", "--out", "x", "--dtype", "fp8");
  expect(code).toBe(2);
  expect(stderr).toContain("Allowed choices are bf16, f32");
});
