// Weights into the engine and out again: what is saved is what transformers and icrl itself load.

import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counters } from "../../ffi/native.ts";
import { Policy } from "../../ffi/policy.ts";
import { expectedTensors } from "../../src/model/tensors.ts";
import { loadPolicy, openFolder, saveFolder } from "../../src/model/weights.ts";
import { changedFolder, GOLDEN_MODELS, goldenPath } from "../helpers/folders.ts";
import { openCpu } from "../helpers/engine.ts";

function withFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "icrl-weights-"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const name of GOLDEN_MODELS) {
  test(`${name}: the engine has exactly the expected tensors`, () => {
    using folder = openFolder(goldenPath(name));
    using device = openCpu();
    using policy = Policy.open(device, folder.config.policy, "f32");
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
    const expected = expectedTensors(folder.config.policy).toSorted(byName);
    expect(policy.tensors().toSorted(byName)).toEqual(expected as never);
  });

  test(`${name}: saved in the dtype of its files, the weights and settings come back`, () => {
    withFolder((root) => {
      using device = openCpu();
      using folder = openFolder(goldenPath(name));
      using policy = loadPolicy(device, folder, "f32");
      const dtype = { BF16: "bf16", F16: "f16", F32: "f32" }[
        [...folder.tensors.values()][0]!.entry.dtype as "BF16"
      ] as "bf16";
      saveFolder(policy, join(root, "saved"), { dtype, copyFrom: goldenPath(name) });
      using again = openFolder(join(root, "saved"));
      expect(again.config).toEqual(folder.config);
      using loaded = loadPolicy(device, again, "f32");
      for (const tensor of policy.tensors())
        expect(loaded.read(tensor.name)).toEqual(policy.read(tensor.name));
    });
  });
}

test("a policy loads the same from files in memory as from disk", () => {
  using device = openCpu();
  using disk = loadPolicy(device, goldenPath("qwen3-tied"), "f64");
  using memory = loadPolicy(
    device,
    changedFolder("qwen3-tied", () => {}),
    "f64",
  );
  for (const { name } of disk.tensors()) expect(memory.readF64(name)).toEqual(disk.readF64(name));
});

test("a small shard limit makes several files with an index, and nothing is left over", () => {
  withFolder((root) => {
    using device = openCpu();
    using policy = loadPolicy(device, goldenPath("qwen2-tied"), "f32");
    const folder = join(root, "saved");
    saveFolder(policy, folder, {
      dtype: "f32",
      copyFrom: goldenPath("qwen2-tied"),
      maxShardBytes: 20_000,
    });
    const shards = readdirSync(folder).filter((file) =>
      /^model-0000\d-of-0000\d\.safetensors$/.test(file),
    );
    expect(shards.length).toBeGreaterThan(1);
    for (const shard of shards)
      expect(statSync(join(folder, shard)).size).toBeLessThan(20_000 + 4_000);
    const index = JSON.parse(readFileSync(join(folder, "model.safetensors.index.json"), "utf8"));
    expect(Object.keys(index.weight_map).length).toBe(policy.tensors().length);
    expect(readdirSync(root)).toEqual(["saved"]);
    using loaded = loadPolicy(device, folder, "f32");
    for (const { name } of policy.tensors()) expect(loaded.read(name)).toEqual(policy.read(name));
  });
});

test("config.json names the dtype of the files, and the tokenizer goes along", () => {
  withFolder((root) => {
    using device = openCpu();
    using policy = loadPolicy(device, goldenPath("qwen2-tied"), "f32");
    saveFolder(policy, join(root, "saved"), { dtype: "f16", copyFrom: goldenPath("qwen2-tied") });
    const config = JSON.parse(readFileSync(join(root, "saved/config.json"), "utf8"));
    expect([config.dtype, config.torch_dtype]).toEqual(["float16", undefined]);
    const tokenizer = [join(root, "saved"), goldenPath("qwen2-tied")].map((folder) =>
      readFileSync(join(folder, "tokenizer.json")),
    );
    expect(tokenizer[0]!.equals(tokenizer[1]!)).toBe(true);
    expect(existsSync(join(root, "saved/golden.json"))).toBe(false);
  });
});

test("saving replaces an older folder whole", () => {
  withFolder((root) => {
    using device = openCpu();
    using policy = loadPolicy(device, goldenPath("qwen2-tied"), "f32");
    const options = { dtype: "f32", copyFrom: goldenPath("qwen2-tied") } as const;
    saveFolder(policy, join(root, "saved"), { ...options, maxShardBytes: 20_000 });
    saveFolder(policy, join(root, "saved"), options);
    expect(
      readdirSync(join(root, "saved"))
        .filter((file) => file.startsWith("model"))
        .toSorted(),
    ).toEqual(["model.safetensors"]);
    expect(readdirSync(root)).toEqual(["saved"]);
  });
});

test("a folder that is refused leaves no policy behind", () => {
  using device = openCpu();
  const before = counters().policies;
  const broken = changedFolder(
    "qwen3-tied",
    (files) => (files["model.safetensors"] = files["model.safetensors"]!.slice(0, 999)),
  );
  expect(() => loadPolicy(device, broken, "f32")).toThrow(/truncated|beyond/);
  expect(counters().policies).toBe(before);
});
