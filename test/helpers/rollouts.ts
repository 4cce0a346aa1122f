// Settings and prompts for tests of rollouts, over the byte tokenizer.

import type { Prompt } from "../../src/rollout/template.ts";
import type { RolloutRequest, RolloutSettings } from "../../src/rollout/rollout.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { byteTokenizer } from "./byte-tokenizer.ts";
import { toolboxOf, toolOf } from "./tools.ts";

export const task = { id: "t", question: "Where?", golds: ["Osk"], meta: {} };

export function settings(change: Partial<RolloutSettings> = {}): RolloutSettings {
  return {
    tokenizer: byteTokenizer,
    tags: tagProfile("icrl"),
    toolbox: toolboxOf([toolOf((input) => `found ${input}`)]),
    limits: {
      maxCalls: 2,
      maxTurnTokens: 100,
      maxNewTokens: 200,
      context: 1000,
    },
    stopTexts: ["\n\n"],
    temperature: 1,
    seed: 3,
    ...change,
  };
}

export function promptOf(...runs: readonly string[]): Prompt {
  const tokens = runs.map((run) => Int32Array.from(byteTokenizer.encode(run)));
  const numTokens = tokens.reduce((sum, run) => sum + run.length, 0);
  return { text: runs.join(""), runs: tokens, numTokens };
}

export function request(prompt: Prompt = promptOf("Use search.\n", "Where?\n")): RolloutRequest {
  return { groupId: "g", stream: 0, sample: 0, task, prompt };
}
