// Opening model folders: one file or several, in memory or on disk, and each way in which a folder
// can be wrong.

import { expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import type { FolderSource } from "../../src/model/byte-source.ts";
import { openFolder } from "../../src/model/model-folder.ts";
import { readTensor } from "../../src/model/safetensors.ts";
import { expectedTensors } from "../../src/model/tensors.ts";
import {
  changedFolder,
  GOLDEN_MODELS,
  goldenPath,
  readGolden,
  setJson,
} from "../helpers/folders.ts";

const SHARDS = "llama3-untied-shards";

for (const name of GOLDEN_MODELS) {
  test(`${name}: its tensors are exactly the expected ones`, () => {
    using folder = openFolder(goldenPath(name));
    const expected = expectedTensors(folder.config.policy).map((tensor) => tensor.name);
    expect([...folder.tensors.keys()].toSorted()).toEqual(expected.toSorted());
    expect(Object.keys(readGolden(name).grads).toSorted()).toEqual(expected.toSorted());
  });

  test(`${name}: both spellings of its config mean the same`, () => {
    using folder = openFolder(goldenPath(name));
    using other = openFolder(
      changedFolder(name, (files) => (files["config.json"] = files["config.other.json"]!)),
    );
    expect(other.config).toEqual(folder.config);
  });
}

test("files in memory hold the same bytes as on disk", () => {
  using disk = openFolder(goldenPath(SHARDS));
  using memory = openFolder(changedFolder(SHARDS, () => {}));
  for (const [name, stored] of disk.tensors) {
    const twin = memory.tensors.get(name)!;
    expect(readTensor(twin.source, twin.entry)).toEqual(readTensor(stored.source, stored.entry));
  }
});

test("end ids of generation_config.json are added to those of config.json", () => {
  using folder = openFolder(
    changedFolder("qwen2-tied", (files) =>
      setJson(files, "generation_config.json", (json) => (json.eos_token_id = [0, 7])),
    ),
  );
  expect(folder.config.eosIds).toEqual([0, 7]);
});

test("a tied head that repeats the embedding is accepted, and buffers of old conversions are ignored", () => {
  const folder = openFolder(
    withTensors("qwen3-tied", {
      "lm_head.weight": ["BF16", [80, 24], 80 * 24 * 2],
      "model.layers.0.self_attn.rotary_emb.inv_freq": ["F32", [5], 20],
    }),
  );
  expect(folder.tensors.has("lm_head.weight")).toBe(true);
  folder[Symbol.dispose]();
});

const REFUSED: readonly [string, () => FolderSource, RegExp][] = [
  [
    "no config.json",
    () => changedFolder(SHARDS, (files) => delete files["config.json"]),
    /no config\.json/,
  ],
  [
    "a missing shard",
    () => changedFolder(SHARDS, (files) => delete files["model-00002-of-00002.safetensors"]),
    /shard model-00002-of-00002\.safetensors is missing/,
  ],
  [
    "pickled weights only",
    () => changedFolder("qwen3-tied", (files) => renameWeights(files)),
    /no safetensors files .*only safetensors are read/,
  ],
  [
    "an index that names a file elsewhere",
    () =>
      changedFolder(SHARDS, (files) =>
        setJson(
          files,
          "model.safetensors.index.json",
          (json) => (json.weight_map!["lm_head.weight"] = "../x.safetensors"),
        ),
      ),
    /weight_map names "\.\.\/x\.safetensors"/,
  ],
  [
    "a truncated file",
    () => changedFolder("qwen3-tied", (files) => cut(files)),
    /tensor model\.\S+ ends at byte \d+, beyond the file's/,
  ],
  [
    "a shape that does not fit the config",
    () => resized({ intermediate_size: 40 }),
    /tensor model\.layers\.0\.mlp\.gate_proj\.weight has shape \[36, 24\], config\.json asks for \[40, 24\]/,
  ],
  [
    "fewer layers in the config",
    () => resized({ num_hidden_layers: 1 }),
    /unexpected tensor model\.layers\.1/,
  ],
  [
    "more layers in the config",
    () => resized({ num_hidden_layers: 3 }),
    /tensor model\.layers\.2\.input_layernorm\.weight is missing/,
  ],
  [
    "an untied config without a head",
    () => resized({ tie_word_embeddings: false }),
    /tensor lm_head\.weight is missing .*tie_word_embeddings/,
  ],
  [
    "a tied head that differs",
    () => withTensors("qwen3-tied", { "lm_head.weight": ["BF16", [80, 24], 80 * 24 * 2, 1] }),
    /tensor lm_head\.weight differs from the embedding/,
  ],
  [
    "weights of whole numbers",
    () => integers(),
    /tensor model\.embed_tokens\.weight has dtype I16/,
  ],
];
for (const [name, folder, message] of REFUSED) {
  test(`${name}: refused in one line`, () => {
    let caught: unknown;
    try {
      openFolder(folder())[Symbol.dispose]();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).describe()).toMatch(message);
    expect((caught as UserError).describe()).not.toContain("\n");
    expect((caught as UserError).where).toContain("-"); // the folder's or the file's name
  });
}

function resized(change: Record<string, unknown>): FolderSource {
  return changedFolder("qwen3-tied", (files) =>
    setJson(files, "config.json", (json) => Object.assign(json, change)),
  );
}
function renameWeights(files: Record<string, Uint8Array>): void {
  files["pytorch_model.bin"] = files["model.safetensors"]!;
  delete files["model.safetensors"];
}
function cut(files: Record<string, Uint8Array>): void {
  files["model.safetensors"] = files["model.safetensors"]!.slice(0, -100);
}

interface HeaderEntry {
  dtype: string;
  shape: readonly number[];
  data_offsets: readonly [number, number];
}
type Header = Record<string, HeaderEntry>;
type Extra = Record<string, [dtype: string, shape: number[], bytes: number, fill?: number]>;

/** model.safetensors with further tensors; a head without a fill repeats the embedding. */
function withTensors(name: "qwen3-tied", extra: Extra): FolderSource {
  return changedFolder(name, (files) => {
    const [header, data] = split(files["model.safetensors"]!);
    const { data_offsets } = header["model.embed_tokens.weight"]!;
    const parts = [data];
    for (const [tensor, [dtype, shape, bytes, fill]] of Object.entries(extra)) {
      const begin = parts.reduce((sum, part) => sum + part.length, 0);
      header[tensor] = { dtype, shape, data_offsets: [begin, begin + bytes] };
      const repeats = tensor === "lm_head.weight" && fill === undefined;
      parts.push(
        repeats
          ? data.slice(...(data_offsets as [number, number]))
          : new Uint8Array(bytes).fill(fill ?? 0),
      );
    }
    files["model.safetensors"] = join(header, parts);
  });
}

function integers(): FolderSource {
  return changedFolder("qwen3-tied", (files) => {
    const [header, data] = split(files["model.safetensors"]!);
    header["model.embed_tokens.weight"]!.dtype = "I16";
    files["model.safetensors"] = join(header, [data]);
  });
}

function split(bytes: Uint8Array): [Header, Uint8Array] {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return [
    JSON.parse(new TextDecoder().decode(bytes.slice(8, 8 + length))),
    bytes.slice(8 + length),
  ];
}
function join(header: object, parts: readonly Uint8Array[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([length, text, ...parts]);
}
