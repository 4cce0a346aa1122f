import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFolder } from "../../src/model/byte-source.ts";
import { exportFolder } from "../../src/model/export.ts";
import { openFolder } from "../../src/model/model-folder.ts";
import { readTensor } from "../../src/model/safetensors.ts";
import { loadPolicy, saveFolder } from "../../src/model/weights.ts";
import { openCpu } from "../helpers/engine.ts";
import { changedFolder, GOLDEN_MODELS, goldenPath, setJson } from "../helpers/folders.ts";

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "icrl-export-"));
});
afterEach(() => rmSync(work, { recursive: true }));

/** The order of the tensors in the files may differ. */
function expectSame(a: string, b: string): void {
  const settings = (folder: string): string[] =>
    readdirSync(folder).filter((file) => !file.endsWith(".safetensors"));
  expect(settings(a).toSorted()).toEqual(settings(b).toSorted());
  for (const file of settings(a))
    expect(readFileSync(join(a, file), "utf8")).toBe(readFileSync(join(b, file), "utf8"));
  using one = openFolder(a);
  using other = openFolder(b);
  expect([...one.tensors.keys()].toSorted()).toEqual([...other.tensors.keys()].toSorted());
  for (const [name, { source, entry }] of one.tensors) {
    const twin = other.tensors.get(name)!;
    expect(entry.dtype).toBe(twin.entry.dtype);
    expect(readTensor(source, entry)).toEqual(readTensor(twin.source, twin.entry));
  }
}

for (const name of GOLDEN_MODELS) {
  for (const dtype of ["bf16", "f32"] as const) {
    test(`${name} exported in ${dtype} is what the engine saves, bit for bit`, () => {
      expect(exportFolder(diskFolder(goldenPath(name)), join(work, "out"), dtype)).toBe(dtype);
      using device = openCpu();
      using policy = loadPolicy(device, goldenPath(name), "f32");
      saveFolder(policy, join(work, "engine"), { dtype, copyFrom: goldenPath(name) });
      expectSame(join(work, "out"), join(work, "engine"));
    });
  }
}

test("rounding to bf16 is torch's: ties to even, overflow to infinity", () => {
  const bits = [0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0x3f7f8000];
  const more = [0xff800000, 0x00000001, 0x80008000, 0x00000000, 0x80000000, 0x3f7fffff];
  using device = openCpu();
  using policy = loadPolicy(device, goldenPath("qwen3-tied"), "f32");
  const norm = policy.read("model.norm.weight");
  norm.set(new Float32Array(Uint32Array.from([...bits, ...more]).buffer));
  policy.write("model.norm.weight", norm, "f32");
  const options = { copyFrom: goldenPath("qwen3-tied") };
  saveFolder(policy, join(work, "f32"), { ...options, dtype: "f32" });
  saveFolder(policy, join(work, "bf16"), { ...options, dtype: "bf16" });
  exportFolder(diskFolder(join(work, "f32")), join(work, "out"), "bf16");
  expectSame(join(work, "out"), join(work, "bf16"));
});

test("without a dtype the weights stay as they are", () => {
  const source = diskFolder(goldenPath("qwen3-tied"));
  expect(exportFolder(source, join(work, "out"))).toBe("bf16");
  using device = openCpu();
  using before = loadPolicy(device, source, "f32");
  using after = loadPolicy(device, join(work, "out"), "f32");
  for (const { name } of before.tensors()) expect(after.read(name)).toEqual(before.read(name));
});

test("a folder that is no model leaves nothing behind", () => {
  const broken = changedFolder("qwen3-tied", (files) => delete files["model.safetensors"]);
  expect(() => exportFolder(broken, join(work, "out"))).toThrow("no safetensors files");
  const other = changedFolder("qwen3-tied", (files) =>
    setJson(files, "config.json", (json) => Object.assign(json, { num_hidden_layers: 3 })),
  );
  expect(() => exportFolder(other, join(work, "out"))).toThrow("model.layers.2");
  expect(readdirSync(work)).toEqual([]);
});
