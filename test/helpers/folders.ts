// The golden model folders, as folders in memory whose files a test may change.

import { join } from "node:path";
import { readFileSync } from "node:fs";
import { diskFolder, type FolderSource, memoryFolder } from "../../src/model/byte-source.ts";

export const GOLDEN_MODELS = [
  "qwen2-tied",
  "qwen2-untied-yarn",
  "qwen3-tied",
  "llama3-untied-shards",
  "llama-tied-linear",
] as const;
export type GoldenModel = (typeof GOLDEN_MODELS)[number];

export interface TensorDigest {
  readonly norm: number;
  readonly sum: number;
  readonly dot: number;
}
/** What golden/models.py wrote, in double. */
export interface Golden {
  readonly ids: readonly number[];
  readonly rows: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly logprobs: readonly (number | null)[];
  readonly entropies: readonly number[];
  readonly loss: number;
  readonly grads: Readonly<Record<string, TensorDigest>>;
}

export function goldenPath(name: GoldenModel): string {
  return join(import.meta.dir, "../golden/models", name);
}

export function readGolden(name: GoldenModel): Golden {
  return JSON.parse(readFileSync(join(goldenPath(name), "golden.json"), "utf8")) as Golden;
}

type Files = Record<string, Uint8Array>;

/** The folder's files in memory after `change`. */
export function changedFolder(name: GoldenModel, change: (files: Files) => void): FolderSource {
  const disk = diskFolder(goldenPath(name));
  const files: Files = Object.fromEntries(disk.list().map((file) => [file, disk.bytes(file)]));
  change(files);
  return memoryFolder(name, files);
}

/** Of a config.json or an index: what the tests change in it. */
export interface FolderJson {
  eos_token_id?: number | number[];
  weight_map?: Record<string, string>;
}

export function setJson(files: Files, file: string, change: (json: FolderJson) => void): void {
  const json = JSON.parse(new TextDecoder().decode(files[file])) as FolderJson;
  change(json);
  files[file] = new TextEncoder().encode(JSON.stringify(json));
}

/** As `digest` of golden/double.py. */
export function digest(values: ArrayLike<number>): TensorDigest {
  let [squares, sum, dot] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    squares += value * value;
    sum += value;
    dot += value * Math.sin(i + 1);
  }
  return { norm: Math.sqrt(squares), sum, dot };
}
