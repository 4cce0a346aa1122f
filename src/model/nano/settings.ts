// The files of a nano folder besides its weights.

import { type FolderSource, memoryFolder } from "../byte-source.ts";
import type { TokenizerJson } from "../tokenizer.ts";
import { nanoConfig, nanoGenerationConfig, nanoTokenizerConfig } from "./config.ts";

export function nanoSettings(tokenizer: TokenizerJson): FolderSource {
  const text = (value: unknown): Uint8Array =>
    new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`);
  return memoryFolder("nano", {
    "config.json": text(nanoConfig),
    "generation_config.json": text(nanoGenerationConfig),
    "tokenizer.json": text(tokenizer),
    "tokenizer_config.json": text(nanoTokenizerConfig),
  });
}
