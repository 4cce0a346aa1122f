// The tag profile hermes through the whole path, with random models of real families, their real
// tokenizers and chat templates: prompts that list tools, several turns of messages, training steps
// (whose first is checked against the contract, and each against the gate on logprobs), the store.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { observeAll } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun } from "../../src/train/open-run.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { type DataFolder, dataFolder } from "../helpers/data-files.ts";
import { fixture } from "../helpers/fixtures.ts";
import { writeTinyFamily } from "../helpers/tiny-family.ts";

setDefaultTimeout(300_000);

let folder: DataFolder;
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
});
afterAll(() => folder[Symbol.dispose]());

const TEXTS = ["<tool_call>x</tool_call><|im_end|>", "<answer> x </answer><|im_end|>"];
const recipe = (model: string): string => `
extends: nano
name: hermes
policy: { model: "${model}", cache_tokens: 32768 }
tags: hermes
tool: { search: { max_observation_tokens: 100 } }
rollout: { prompts_per_step: 3, samples_per_prompt: 4, max_new_tokens: 48, max_turn_tokens: 24, context: 4096, stop: [] }
stages: [{ shots: 2, steps: 2 }]
eval: { limit: 2, shots: [0] }
`;

/** Steps of a run, as the store has them afterwards. */
async function trained(model: string): Promise<{ rollouts: Rollout[]; decode: Decode }> {
  const path = folder.write(`${model}.yaml`, recipe(model));
  const run = join(folder.path, "runs", Bun.hash(model).toString(16));
  const request = { stages: undefined, recipe: path, overrides: [], seed: undefined, run };
  await using opened = await openRun(request, "none");
  const observer = observeAll([]);
  await new TrainingLoop({ ...opened, observer, shouldStop: () => false }).run(opened.range);
  const { store } = opened.directory;
  const ids = [1, 2].flatMap((step) => store.rollouts({ step }).map(({ id }) => id));
  const rollouts = ids.map((id) => store.rollout(id)!.rollout);
  return { rollouts, decode: (tokens) => opened.session.tokenizer.decode(tokens) };
}

type Decode = (tokens: ArrayLike<number>) => string;

for (const family of ["qwen2_5", "qwen3"] as const) {
  describe.skipIf(fixture(family) === undefined)(`${family} (needs npm's registry once)`, () => {
    test("trains on messages whose calls the chat template answers", async () => {
      const { rollouts, decode } = await trained(writeTinyFamily(folder.path, family, TEXTS)!);
      expect(decode(rollouts[0]!.tokens_L.subarray(0, 400))).toContain('"name": "search"');
      const turns = rollouts.flatMap(({ tokens_L, roles_L, turns: all }) =>
        all
          .filter(({ policyEnd, observationEnd }) => observationEnd > policyEnd)
          .map((turn) => {
            const { policyEnd, observationEnd, toolCalls } = turn;
            const roles = new Set(roles_L.subarray(policyEnd, observationEnd));
            const last = decode(tokens_L.subarray(policyEnd - 1, policyEnd));
            return {
              roles: [...roles],
              last,
              toolCalls,
              read: tokens_L.subarray(policyEnd, observationEnd),
            };
          }),
      );
      expect(turns.length).toBeGreaterThan(0);
      for (const { roles, last, toolCalls, read } of turns) {
        expect(roles).toEqual([Role.observation]);
        expect(last).toBe("<|im_end|>");
        const responses = toolCalls.map(
          ({ result }) => `<tool_response>\n${result.text}\n</tool_response>`,
        );
        expect(decode(read)).toBe(
          `\n<|im_start|>user\n${responses.join("\n")}<|im_end|>\n<|im_start|>assistant\n`,
        );
      }
    });
  });
}
