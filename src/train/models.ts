// The model that a recipe names: the one inside the executable, a folder, or a name in the Hugging
// Face cache. Not its weights' way into the engine.

import type { Recipe } from "../config/recipe.ts";
import { diskFolder, type FolderSource } from "../model/byte-source.ts";
import { resolveModel } from "../model/hub/cache.ts";
import { nanoFolder } from "../model/nano/folder.ts";

export function modelFolder({ model }: Pick<Recipe["policy"], "model">): FolderSource {
  return model === "nano" ? nanoFolder() : diskFolder(resolveModel(model));
}
