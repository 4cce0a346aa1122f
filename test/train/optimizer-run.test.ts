// Whole runs whose optimizer keeps its moments in 8 bits: one that was interrupted equals one that was not, because the
// checkpoint's fp32 holds the codes' values exactly and the noise depends on seed and step only.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";
import { wholeRun } from "../helpers/whole-run.ts";

setDefaultTimeout(120_000);

let folder: string;
let model: string;
beforeAll(() => {
  setThreads(1);
  folder = mkdtempSync(join(tmpdir(), "icrl-optimizer-"));
  model = writeTinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([true, false])("stopped after step 3 and gone on with, bit for bit; moments carried: %p", async (carried) => {
  const recipe = join(folder, `${carried}.yaml`);
  const text = tinyRecipe(model, `carry: { optimizer: ${carried} }`);
  writeFileSync(recipe, text.replace("train: {", "train: { optimizer: { state_bits: 8 },"));
  const whole = join(folder, `whole-${carried}`);
  const stopped = join(folder, `stopped-${carried}`);
  await wholeRun({ recipe, run: whole });
  expect((await wholeRun({ recipe, run: stopped }, 3)).outcome).toBe("interrupted");
  await wholeRun({ run: stopped });
  for (const each of ["model.safetensors", "optimizer.safetensors"]) {
    const [one, other] = [whole, stopped].map((path) =>
      readFileSync(join(path, "checkpoints", "stage2", each)),
    );
    expect(one!.equals(other!), each).toBe(true);
  }
});
