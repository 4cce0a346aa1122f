// Adapters as PEFT stores them: names, shapes and settings against what PEFT itself wrote
// (golden/lora.py). On request PEFT loads ours, since that needs a Python with torch, transformers
// and peft: ICRL_TEST_PYTHON=/path/to/python bun test test/model/peft.test.ts

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LORA_TARGETS } from "../../ffi/lora.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { diskFolder, fileSource } from "../../src/model/byte-source.ts";
import { exportAdapter } from "../../src/model/export-adapter.ts";
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, writeAdapter } from "../../src/model/peft.ts";
import { readHeader } from "../../src/model/safetensors.ts";
import { rowBatch } from "../../src/model/score.ts";
import { loadPolicy } from "../../src/model/weights.ts";
import golden from "../golden/lora.json" with { type: "json" };
import { ADAMW, openCpu, relativeError } from "../helpers/engine.ts";
import { goldenPath, readGolden } from "../helpers/folders.ts";

const lora = { ...golden.lora, targets: LORA_TARGETS };
const BASE = goldenPath("qwen3-tied");

/** Writes trained adapters into the folder; the merged policy's logprobs of the golden ids. */
function writeTrained(folder: string): Float64Array {
  using device = openCpu();
  using base = loadPolicy(device, BASE, "f32");
  using policy = loadPolicy(device, BASE, "f32");
  using trainer = Trainer.open(policy, { ...ADAMW, lora, seed: 2 }, base);
  const batch = rowBatch(readGolden("qwen3-tied").ids);
  for (let step = 0; step < 3; step++) {
    const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
    trainer.backward(logprobs_N.map(() => -1));
    trainer.step({ learningRate: 0.05, maxGradNorm: 1 });
  }
  mkdirSync(folder);
  writeAdapter(folder, trainer, "a/model");
  return policy.logprobs(batch).logprobs_N;
}

async function inFolder(use: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "icrl-peft-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const tensorsOf = (folder: string) => {
  using source = fileSource(join(folder, ADAPTER_WEIGHTS));
  return readHeader(source).tensors.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
};

test("tensors and settings are those that PEFT writes for the same adapters", () =>
  inFolder((folder) => {
    writeTrained(join(folder, "adapter"));
    const tensors = tensorsOf(join(folder, "adapter"));
    expect(Object.fromEntries(tensors.map(({ name, shape }) => [name, [...shape]]))).toEqual(
      golden.saved.shapes,
    );
    const text = readFileSync(join(folder, "adapter", ADAPTER_CONFIG), "utf8");
    const { base_model_name_or_path, target_modules, ...rest } = JSON.parse(text);
    expect(base_model_name_or_path).toBe("a/model");
    expect(target_modules.toSorted()).toEqual(golden.saved.config.target_modules);
    expect(golden.saved.config).toMatchObject(rest);
  }));

test("an exported adapter is the stored one, or half as wide in bf16", () =>
  inFolder((folder) => {
    const adapter = join(folder, "adapter");
    writeTrained(adapter);
    const [same, half] = [join(folder, "same"), join(folder, "half")];
    expect(exportAdapter(diskFolder(adapter), same)).toBe("f32");
    expect(exportAdapter(diskFolder(adapter), half, "bf16")).toBe("bf16");
    for (const each of [same, half])
      expect(readdirSync(each).toSorted()).toEqual([ADAPTER_CONFIG, ADAPTER_WEIGHTS]);
    for (const file of [ADAPTER_CONFIG, ADAPTER_WEIGHTS])
      expect(readFileSync(join(same, file)).equals(readFileSync(join(adapter, file)))).toBe(true);
    expect(tensorsOf(half).every(({ dtype }) => dtype === "BF16")).toBe(true);
    expect(tensorsOf(half).map(({ name }) => name)).toEqual(tensorsOf(same).map(({ name }) => name));
  }));

const python = process.env["ICRL_TEST_PYTHON"];
test.skipIf(python === undefined)(
  "PEFT loads an adapter on its base with the merged policy's logprobs, beside and merged",
  () =>
    inFolder((folder) => {
      const adapter = join(folder, "adapter");
      const ours = writeTrained(adapter);
      const script = join(import.meta.dir, "../golden/check_adapter.py");
      const ids = readGolden("qwen3-tied").ids.join(",");
      const child = Bun.spawnSync([python!, script, BASE, adapter, ids]);
      const { beside, merged } = JSON.parse(child.stdout.toString()) as Record<string, number[]>;
      expect(relativeError(beside!, ours)).toBeLessThan(1e-5);
      expect(relativeError(merged!, ours)).toBeLessThan(1e-5);
    }),
  120_000,
);
