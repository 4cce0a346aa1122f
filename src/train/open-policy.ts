// A policy on its device, ready to sample: weights, cache, engine and tokenizer, opened and closed
// together. Not prompts, tools or rewards: session.ts.

import { KvCache } from "../../ffi/cache.ts";
import { Device } from "../../ffi/device.ts";
import type { Policy } from "../../ffi/policy.ts";
import { pageTokensOf, type Recipe } from "../config/recipe.ts";
import type { FolderSource } from "../model/byte-source.ts";
import { openFolder } from "../model/model-folder.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { openTokenizer } from "../model/tokenizer-folder.ts";
import { loadPolicy } from "../model/weights.ts";
import type { RolloutEngine } from "../rollout/engine.ts";
import { InProcessEngine } from "../rollout/in-process.ts";

export interface OpenedPolicy extends Disposable {
  readonly device: Device;
  readonly policy: Policy;
  readonly engine: RolloutEngine;
  readonly tokenizer: Tokenizer;
  /** Tokens of one sequence, at most: what the model was made for, and what the cache holds. */
  readonly maxSequence: number;
}

/** `weights`: the model's folder, or a checkpoint of it. */
export function openPolicy(recipe: Recipe["policy"], weights: FolderSource): OpenedPolicy {
  using stack = new DisposableStack();
  const device = stack.use(Device.open(recipe.device));
  const folder = stack.use(openFolder(weights));
  const tokenizer = openTokenizer(weights, folder.config);
  const policy = stack.use(loadPolicy(device, folder, recipe.dtype));
  const pageTokens = pageTokensOf(recipe);
  const numPages = Math.ceil(recipe.cache_tokens / pageTokens);
  const cache = stack.use(KvCache.open(policy, { numPages, pageTokens }));
  const engine = new InProcessEngine(policy, cache);
  const held = (numPages - 2) * pageTokens; // a sequence begins two runs of pages at most
  const maxSequence = Math.min(folder.config.maxPositions, held);
  const owned = stack.move();
  const close = (): void => owned.dispose();
  return { device, policy, engine, tokenizer, maxSequence, [Symbol.dispose]: close };
}
