// The model that a recipe names: the one inside the executable, or a folder. Not its weights' way
// into the engine.

import type { Recipe } from "../config/recipe.ts";
import { UserError } from "../config/errors.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { createTokenizer, type Tokenizer, type TokenizerJson } from "../model/tokenizer.ts";
import { nanoFolder } from "../model/nano/folder.ts";

export function modelFolder({ model }: Recipe["policy"]): FolderSource {
  return model === "nano" ? nanoFolder() : diskFolder(model);
}

export function openTokenizer(folder: FolderSource, eosIds: readonly number[]): Tokenizer {
  if (!folder.has("tokenizer.json")) {
    throw new UserError("the model has no tokenizer.json", { where: folder.name });
  }
  const text = new TextDecoder().decode(folder.bytes("tokenizer.json"));
  return createTokenizer(JSON.parse(text) as TokenizerJson, eosIds.length > 0 ? eosIds : undefined);
}
