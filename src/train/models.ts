// The model that a recipe names: the one inside the executable, or a folder. Not its weights' way
// into the engine.

import type { Recipe } from "../config/recipe.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { nanoFolder } from "../model/nano/folder.ts";

export function modelFolder({ model }: Recipe["policy"]): FolderSource {
  return model === "nano" ? nanoFolder() : diskFolder(model);
}
