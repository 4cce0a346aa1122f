// The contract check on the rollouts of a step, before anything is trained on them. The rules are
// in contract.ts.

import { UserError } from "../config/errors.ts";
import type { Rollout } from "../types.ts";
import { checkContract, type Violation } from "./contract.ts";
import { countPolicyTokens } from "./rollout-figures.ts";
import { sampleGroups, type SampledGroups } from "./sampling.ts";
import type { Session } from "./session.ts";
import { buildBatches } from "./trie.ts";

/** Throws UserError with the first violations. */
export function requireContract(
  { raw, groups }: SampledGroups,
  eosIds: readonly number[],
  maxTokens: number,
): void {
  const rollouts = groups.flatMap(({ samples }) => samples.map(({ rollout }) => rollout));
  const batches = buildBatches(rollouts, { maxTokens });
  const violations = checkContract({ groups: raw, batches, eosIds });
  if (violations.length === 0) return;
  const what = `the contract between sampling and training is broken: ${describe(violations[0]!)}`;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  throw new UserError(`${what}${more}`, { hint: "nothing was trained on these rollouts" });
}

function describe({ rule, rollout, token, reason }: Violation): string {
  const place =
    rollout === undefined
      ? ""
      : `rollout ${rollout}${token === undefined ? "" : `, token ${token}`}: `;
  return `${place}${reason} [${rule}]`;
}

export interface KeptContract {
  readonly rollout: Rollout; // one to look at
  readonly numRollouts: number;
  readonly numTrained: number;
}

/** Rolls out a step of the first stage and checks it. Trains nothing. */
export async function checkSession(session: Session): Promise<KeptContract> {
  const { rollout, train, seed } = session.recipe;
  const sampled = await sampleGroups(session.sampler(rollout.temperature, seed), {
    tasks: session.world.train.slice(0, rollout.prompts_per_step),
    template: session.stageTemplate(0),
    samplesPerTask: rollout.samples_per_prompt,
    label: "contract",
    firstStream: 0,
  });
  requireContract(sampled, session.tokenizer.eosIds, train.max_batch_tokens);
  const rollouts = sampled.groups.flatMap(({ samples }) => samples.map((each) => each.rollout));
  const numTrained = rollouts.reduce((sum, each) => sum + countPolicyTokens(each), 0);
  return { rollout: rollouts[0]!, numRollouts: rollouts.length, numTrained };
}
