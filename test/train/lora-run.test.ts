// Whole runs that train adapters: that a run which goes on equals one that was not interrupted, and
// what the checkpoints hold, with an anchor that moves and one that stays.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counters, setThreads } from "../../ffi/native.ts";
import { UserError } from "../../src/config/errors.ts";
import { RunFolder } from "../../src/run/directory.ts";
import type { RunRequest } from "../../src/train/open-run.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";
import { wholeRun } from "../helpers/whole-run.ts";

setDefaultTimeout(120_000);

let folder: string;
let model: string;
beforeAll(() => {
  setThreads(1);
  folder = mkdtempSync(join(tmpdir(), "icrl-lora-"));
  model = writeTinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const file = (name: string, ...rest: string[]): Buffer =>
  readFileSync(join(path(name), "checkpoints", ...rest));
const adapterBase = (name: string, checkpoint: string): string => {
  const text = file(name, checkpoint, "adapter", "adapter_config.json").toString();
  return (JSON.parse(text) as { base_model_name_or_path: string }).base_model_name_or_path;
};
function losses(name: string): number[] {
  using reader = new RunFolder(path(name)).openReader();
  return reader.steps().map(({ loss }) => loss);
}

const KL = "objective: { kl: { coefficient: 0.01 } }";
const KINDS: readonly [string, string, string, boolean][] = [
  ["no anchor", "", "{ optimizer: true, reference: false }", false],
  ["no anchor, moments forgotten", "", "{ optimizer: false, reference: false }", false],
  ["an anchor that stays", KL, "{ optimizer: false, reference: true }", false],
  ["an anchor that moves", KL, "{ optimizer: false, reference: false }", true],
];

for (const [index, [name, objective, carry, moves]] of KINDS.entries()) {
  describe(`adapters with ${name}`, () => {
    const whole = `whole${index}`;
    let recipe: string;
    beforeAll(async () => {
      recipe = path(`lora${index}.yaml`);
      const lora = `lora: { rank: 3, alpha: 6 }, ${objective}`;
      const text = tinyRecipe(model, `carry: ${carry}`).replace("train: {", `train: { ${lora}`);
      writeFileSync(recipe, text.replace(`${lora} learning`, `${lora}${objective ? "," : ""} learning`));
      await wholeRun({ recipe, run: path(whole) });
    });

    const expectSame = (other: string): void => {
      expect(losses(other)).toEqual(losses(whole));
      for (const each of ["model.safetensors", "optimizer.safetensors"])
        expect(file(other, "stage2", each).equals(file(whole, "stage2", each)), each).toBe(true);
    };

    test("train: each stage's weights are others, and each native object comes back", () => {
      expect(losses(whole)).toHaveLength(4);
      const [one, two] = ["stage1", "stage2"].map((each) => file(whole, each, "model.safetensors"));
      expect(one!.equals(two!)).toBe(false);
      const { devices, policies, caches, trainers } = counters();
      expect([devices, policies, caches, trainers]).toEqual([0, 0, 0, 0]);
    });
    test("are the same in two commands, bit for bit", async () => {
      const other = `split${index}`;
      await wholeRun({ recipe, run: path(other), stages: "stage1" });
      await wholeRun({ run: path(other), stages: "stage2" });
      expectSame(other);
    });
    for (const steps of [1, 3]) {
      test(`are the same when stopped after step ${steps} and gone on with, bit for bit`, async () => {
        const other = `stopped${index}-${steps}`;
        expect((await wholeRun({ recipe, run: path(other) }, steps)).outcome).toBe("interrupted");
        await wholeRun({ run: path(other) });
        expectSame(other);
      });
    }
    test("name the model that they change: the run's, or the stage before where the anchor moves", () => {
      expect(adapterBase(whole, "stage1")).toBe(model);
      const before = join(path(whole), "checkpoints", "stage1");
      expect(adapterBase(whole, "stage2")).toBe(moves ? before : model);
    });
  });
}

test("a rank that is not low and a rank that changes within a stage are refused in a line", async () => {
  const lines: string[] = [];
  const attempt = (request: Partial<RunRequest>): Promise<unknown> =>
    wholeRun(request).catch((error: UserError) => lines.push(error.describe()));
  const recipe = path("lora3.yaml");
  await attempt({ recipe, run: path("high"), overrides: ["train.lora.rank=32"] });
  expect(lines.pop()).toContain("train.lora.rank 32 is not low: the model's hidden size is 32");
  expect(existsSync(path("high"))).toBe(false);
  await wholeRun({ recipe, run: path("changed") }, 1);
  await attempt({ run: path("changed"), overrides: ["train.lora.rank=4"] });
  expect(lines.pop()).toContain("train.lora can change where fresh adapters begin only");
  expect(losses("changed")).toHaveLength(1);
});

test("adapters on another base than their own are refused in a line, and nothing is trained", async () => {
  const other = "replaced";
  await wholeRun({ recipe: path("lora3.yaml"), run: path(other) }, 3);
  const anchor = join(path(other), "checkpoints", "stage1", "model.safetensors");
  copyFileSync(join(model, "model.safetensors"), anchor);
  const error = await wholeRun({ run: path(other) }).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).describe()).toContain("its adapters and their base do not give");
  expect(losses(other)).toHaveLength(3);
});
