// The embedded policy: a Hugging Face folder inside the executable, made by `icrl pretrain nano`.

import { readFileSync } from "node:fs";
import { type FolderSource, memoryFolder } from "../byte-source.ts";
import config from "./assets/config.json" with { type: "file" };
import generationConfig from "./assets/generation_config.json" with { type: "file" };
import tokenizer from "./assets/tokenizer.json" with { type: "file" };
import tokenizerConfig from "./assets/tokenizer_config.json" with { type: "file" };
import weights from "./assets/model.safetensors" with { type: "file" };

export function nanoFolder(): FolderSource {
  return memoryFolder("nano", {
    "config.json": readFileSync(path(config)),
    "generation_config.json": readFileSync(path(generationConfig)),
    "tokenizer.json": readFileSync(path(tokenizer)),
    "tokenizer_config.json": readFileSync(path(tokenizerConfig)),
    "model.safetensors": readFileSync(path(weights)),
  });
}

/** TypeScript sees a JSON module; with { type: "file" } bun gives the path of the embedded file. */
const path = (embedded: unknown): string => embedded as string;
