// What supervised fine-tuning learns from: a run's own rollouts of training questions whose reward
// was high enough (rejection sampling; RFT, arXiv 2308.01825). The response is kept token by token,
// with the role of each; the prompt is kept, or written anew without demonstrations. Rollouts of
// evaluations are never read: their questions are held out.

import type { RunReader } from "../run/reader.ts";
import { Role, type Rollout } from "../types.ts";
import type { TrainRollout } from "./branches.ts";
import { countPolicyTokens } from "./rollout-figures.ts";

export interface SftExample extends TrainRollout {
  /** Policy tokens: the only ones that carry loss. */
  readonly numTargets: number;
}

export interface SelectionRule {
  readonly minReward: number;
  /** Names of stages; absent: all. */
  readonly stages?: ReadonlySet<string> | undefined;
}

export interface Selection {
  readonly examples: readonly SftExample[];
  readonly counts: SelectionCounts;
}
export interface SelectionCounts {
  readonly rollouts: number; // recorded in those stages
  readonly successful: number;
  /** Of the successful ones, those whose prompt and response are another one's again: left out. */
  readonly repeated: number;
  readonly questions: number; // with an example
  readonly bestReward: number; // of all; -Infinity without rollouts
  readonly tokens: number; // policy tokens of the examples
}

/** In the order of recording. `promptOf` gives the tokens that the response is to follow. */
export function selectExamples(
  reader: RunReader,
  rule: SelectionRule,
  promptOf: (rollout: Rollout) => Int32Array,
): Selection {
  const examples: SftExample[] = [];
  const seen = new Set<bigint>();
  const questions = new Set<string>();
  let [rollouts, successful, bestReward] = [0, 0, -Infinity];
  for (const { id, reward } of recorded(reader, rule)) {
    rollouts++;
    bestReward = Math.max(bestReward, reward);
    if (reward < rule.minReward) continue;
    const { rollout } = reader.rollout(id)!;
    successful++;
    const example = withPrompt(rollout, promptOf(rollout));
    const { buffer, byteOffset, byteLength } = example.tokens_L;
    const key = BigInt(Bun.hash(new Uint8Array(buffer, byteOffset, byteLength)));
    if (seen.has(key) || example.numTargets === 0) continue;
    seen.add(key);
    questions.add(rollout.task.id);
    examples.push(example);
  }
  const counts = { rollouts, successful, repeated: successful - examples.length, bestReward };
  const tokens = examples.reduce((sum, { numTargets }) => sum + numTargets, 0);
  return { examples, counts: { ...counts, questions: questions.size, tokens } };
}

function* recorded(reader: RunReader, { stages }: SelectionRule) {
  for (const { step, stage } of reader.steps()) {
    if (stages === undefined || stages.has(stage)) yield* reader.rollouts({ step });
  }
}

/** The rollout's response after another prompt. */
export function withPrompt(rollout: Rollout, prompt: Int32Array): SftExample {
  const response = rollout.tokens_L.subarray(rollout.promptTokens);
  const tokens_L = new Int32Array(prompt.length + response.length);
  tokens_L.set(prompt);
  tokens_L.set(response, prompt.length);
  const roles_L = new Uint8Array(tokens_L.length).fill(Role.prompt);
  roles_L.set(rollout.roles_L.subarray(rollout.promptTokens), prompt.length);
  return { tokens_L, roles_L, numTargets: countPolicyTokens(rollout) };
}
