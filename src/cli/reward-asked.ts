// Which reward `icrl reward` is asked for: a profile's, a recipe's or a file's, and how responses
// are read. Opens nothing.

import { UserError } from "../config/errors.ts";
import { loadRecipe } from "../config/load.ts";
import { type RewardRecipe, rewardSection } from "../config/reward-recipe.ts";
import { rewardProfile } from "../reward/profiles.ts";
import { type TagProfile, tagProfile } from "../reward/tags.ts";
import { closedToolbox } from "../train/open-tool.ts";
import { toolTags } from "../train/prompt-model.ts";
import type { RewardOptions } from "./reward.ts";

export interface AskedReward {
  readonly recipe: RewardRecipe;
  readonly tags: TagProfile;
}

/** Throws UserError. */
export function openAsked(options: RewardOptions): AskedReward {
  const { profile, recipe: source, set, fileReward, tags } = options;
  if (source !== undefined) return ofRecipe(source, options);
  if (set !== undefined) throw usage("--set changes a recipe, and none is named", "add --recipe");
  if (profile === undefined && fileReward === undefined) {
    throw usage("no reward is named", "add --profile NAME, --recipe FILE or --file-reward FILE");
  }
  const { name, tags: usual, tools } = rewardProfile(profile ?? "icrl");
  const parsed = rewardSection.safeParse({ profile: name, file: fileReward });
  if (parsed.success) return { recipe: parsed.data, tags: tagProfile(tags ?? usual, tags === undefined ? tools : undefined) };
  const message = parsed.error.issues[0]!.message;
  throw new UserError(`not ${message}`, { where: `--file-reward ${fileReward}`, exitCode: 2 });
}

function ofRecipe(source: string, options: RewardOptions): AskedReward {
  const { profile, set, fileReward, tags } = options;
  const other = profile === undefined ? fileReward && "--file-reward" : "--profile";
  if (other !== undefined) {
    throw usage(`${other} and --recipe both name a reward`, "a recipe is changed with --set");
  }
  const recipe = loadRecipe({ source, overrides: set ?? [] });
  const read = tagProfile(tags ?? recipe.tags, toolTags(closedToolbox(recipe)));
  return { recipe: recipe.reward, tags: read };
}

const usage = (what: string, hint: string): UserError => new UserError(what, { hint, exitCode: 2 });
