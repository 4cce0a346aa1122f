// Whose policy a person means, and with whose recipe: a checkpoint of a run, a model, or what a
// recipe names. Not opening it: session.ts, open-policy.ts.

import { cudaDeviceCount } from "../../ffi/native.ts";
import type { DeviceKind } from "../../ffi/device.ts";
import { loadRecipe } from "../config/load.ts";
import { checkpointFolder, type CheckpointFolder } from "./checkpoint-folder.ts";
import { modelFolder } from "./models.ts";

export interface PolicyAsked {
  /** A run or one of its checkpoints; or else a model, or else the recipe's. */
  readonly run?: string | undefined;
  readonly model?: string | undefined;
  /** Of a model: whose prompts, tools and limits. */
  readonly recipe?: string | undefined;
  readonly overrides: readonly string[];
  readonly device?: DeviceKind | undefined;
}

const NANO = "nano";
/** Whose recipe is used when a model and no recipe is named. */
const DEFAULT_RECIPES = { nano: NANO, others: "search-qwen2.5-3b" } as const;

/** `ownWorld`: a model without a recipe is asked about the embedded world. */
export function policyAsked(asked: PolicyAsked, ownWorld = false): CheckpointFolder {
  const { run, model, recipe, overrides, device } = asked;
  if (run !== undefined) return checkpointFolder(run, [...onDevice(device), ...overrides]);
  const isNano = ownWorld || model === undefined || model === NANO;
  const own = DEFAULT_RECIPES[isNano ? "nano" : "others"];
  const best = cudaDeviceCount() > 0 ? "cuda" : "cpu"; // a default recipe knows no machine
  const chosen = device ?? (recipe === undefined ? best : undefined);
  const named = model === undefined ? [] : [`policy.model=${JSON.stringify(model)}`];
  const all = [...named, ...onDevice(chosen), ...overrides];
  const loaded = loadRecipe({ source: recipe ?? own, overrides: all });
  return { stage: "base", step: 0, recipe: loaded, weights: modelFolder(loaded.policy) };
}

/** What a recipe for a GPU may ask for and a CPU cannot do. */
const ON_CPU = [
  "policy.dtype=f32",
  "train.master_weights=true",
  "train.optimizer.offload=false",
] as const;

/** Overrides of a recipe. */
export function onDevice(device: DeviceKind | undefined): string[] {
  if (device === undefined) return [];
  return [`policy.device=${device}`, ...(device === "cpu" ? ON_CPU : [])];
}
