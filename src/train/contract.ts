// The contract between sampling and training, checked on real rollouts: what is trained is what was
// sampled, under the context it was sampled under, and nothing else. It compares three independent
// accounts: the engine's transcripts (what it computed and drew), the rollouts (what the loop kept)
// and the training batches (what the trainer is given). A pure function: it returns what is wrong,
// the caller stops. Not here: logprobs, which the sampler-trainer gate watches at every step. Shape
// letters: L tokens of a rollout, N targets of a batch.

import type { RolloutGroup } from "../rollout/batch.ts";
import type { RolloutRecord } from "../rollout/rollout.ts";
import type { TrainBatch } from "./trie.ts";
import { Role } from "../types.ts";

export type ContractRule =
  | "sampled_ids" // trained ids are the sampled ids
  | "mask_sum" // as many tokens are trained as were sampled, each once
  | "tool_tokens" // only sampled tokens carry loss
  | "eos" // the token that ended a rollout is trained
  | "group_ids" // a group is the samples of one prompt, and its id is its own
  | "context"; // every token is trained under the context it was sampled under

export interface Violation {
  readonly rule: ContractRule;
  readonly rollout?: number; // index into the rollouts packed
  readonly token?: number; // index into its tokens
  readonly reason: string;
}

export interface ContractEvidence {
  readonly groups: readonly RolloutGroup[];
  /** Batches of all rollouts of `groups`, group by group, as buildBatches numbers them. */
  readonly batches: readonly TrainBatch[];
  readonly eosIds: readonly number[];
}

/** Empty when all is well. At most one violation for each rule and rollout: the first. */
export function checkContract({ groups, batches, eosIds }: ContractEvidence): readonly Violation[] {
  const records = groups.flatMap((group) => group.records);
  const trained = trainedTokens(records, batches);
  const violations = [
    ...checkGroups(groups),
    ...records.flatMap((record, r) => checkKept(record, r)),
    ...records.flatMap((record, r) => checkCounts(record, r, trained[r]!)),
    ...records.flatMap((record, r) => checkEnd(record, r, trained[r]!, eosIds)),
    ...batches.flatMap((batch) => checkBatch(records, batch)),
  ];
  return firstOfEach(violations);
}

/** How often each token of each rollout is a target. */
function trainedTokens(
  records: readonly RolloutRecord[],
  batches: readonly TrainBatch[],
): readonly Uint8Array[] {
  const counts = records.map(({ transcript }) => new Uint8Array(transcript.tokens_L.length));
  for (const { sources_N, offsets_N } of batches) {
    sources_N.forEach((source, n) => {
      const count_L = counts[source];
      if (count_L !== undefined) count_L[offsets_N[n]!]!++;
    });
  }
  return counts;
}

function checkGroups(groups: readonly RolloutGroup[]): Violation[] {
  const seen = new Set<string>();
  return groups.flatMap((group) => {
    const violations = [
      ...(seen.has(group.id) ? [wrongGroup(group.id, "is used twice")] : []),
      ...checkGroup(group),
    ];
    seen.add(group.id);
    return violations;
  });
}

function checkGroup({ id, task, records }: RolloutGroup): Violation[] {
  const rollouts = records.map(({ rollout }) => rollout);
  const samples = new Set(rollouts.map(({ sample }) => sample));
  const prompt = rollouts[0]?.tokens_L.subarray(0, rollouts[0].promptTokens);
  const violations: Violation[] = [];
  if (rollouts.some(({ groupId }) => groupId !== id))
    violations.push(wrongGroup(id, "holds a rollout of another"));
  if (rollouts.some((rollout) => rollout.task.id !== task.id))
    violations.push(wrongGroup(id, "mixes tasks"));
  if (samples.size !== rollouts.length) violations.push(wrongGroup(id, "holds a sample twice"));
  const differs = rollouts.some(
    ({ tokens_L, promptTokens }) => !equal(tokens_L.subarray(0, promptTokens), prompt!),
  );
  if (differs) violations.push(wrongGroup(id, "mixes prompts"));
  return violations;
}

const wrongGroup = (id: string, what: string): Violation => ({
  rule: "group_ids",
  reason: `group ${id} ${what}`,
});

/** The rollout's tokens and roles against the engine's account. */
function checkKept({ rollout, transcript }: RolloutRecord, r: number): Violation[] {
  const { tokens_L, roles_L } = rollout;
  const length = Math.max(tokens_L.length, transcript.tokens_L.length);
  for (let token = 0; token < length; token++) {
    const [kept, seen] = [tokens_L[token], transcript.tokens_L[token]];
    const sampled = transcript.sampled_L[token] === 1;
    if (kept !== seen) {
      const rule = sampled ? "sampled_ids" : "context";
      return [
        {
          rule,
          rollout: r,
          token,
          reason: `the engine had token ${seen ?? "-"}, the rollout keeps ${kept ?? "-"}`,
        },
      ];
    }
    if (sampled === (roles_L[token] === Role.policy)) continue;
    const reason = sampled
      ? "a sampled token is not the policy's"
      : "a token of the policy was not sampled";
    return [{ rule: sampled ? "mask_sum" : "tool_tokens", rollout: r, token, reason }];
  }
  return [];
}

function checkCounts({ transcript }: RolloutRecord, r: number, trained_L: Uint8Array): Violation[] {
  const numSampled = sum(transcript.sampled_L);
  const numTrained = sum(trained_L);
  const twice = trained_L.findIndex((count) => count > 1);
  if (numSampled === numTrained && twice < 0) return [];
  const reason =
    twice >= 0
      ? `token ${twice} is trained ${trained_L[twice]} times`
      : `${numTrained} tokens trained`;
  return [{ rule: "mask_sum", rollout: r, reason: `${numSampled} tokens were sampled, ${reason}` }];
}

/**
 * Ending must be learned: the last sampled token is trained, and a rollout that ended with an end
 * token still has it.
 */
function checkEnd(
  { rollout, transcript }: RolloutRecord,
  r: number,
  trained_L: Uint8Array,
  eosIds: readonly number[],
): Violation[] {
  const token = transcript.sampled_L.lastIndexOf(1);
  if (token < 0) return [];
  const at = { rule: "eos", rollout: r, token } as const;
  const last = rollout.tokens_L[rollout.roles_L.lastIndexOf(Role.policy)];
  if (rollout.finish === "eos" && (last === undefined || !eosIds.includes(last)))
    return [{ ...at, reason: "it ended with an end token, which it does not keep" }];
  return trained_L[token] === 0
    ? [{ ...at, reason: "the token that ended it is not trained" }]
    : [];
}

function checkBatch(records: readonly RolloutRecord[], batch: TrainBatch): Violation[] {
  const paths = new RowPaths(batch);
  return Array.from(batch.sources_N, (_, n) => checkTarget(records, batch, n, paths)).flat();
}

function checkTarget(
  records: readonly RolloutRecord[],
  batch: TrainBatch,
  n: number,
  paths: RowPaths,
): Violation[] {
  const rollout = batch.sources_N[n]!;
  const token = batch.offsets_N[n]!;
  const transcript = records[rollout]?.transcript;
  if (transcript === undefined)
    return [{ rule: "context", rollout, token, reason: "a target of no rollout" }];
  const at = { rollout, token };
  if (transcript.sampled_L[token] !== 1)
    return [{ rule: "tool_tokens", ...at, reason: "trained, but nobody sampled it" }];
  const id = batch.targetIds_N[n];
  const sampled = transcript.tokens_L[token];
  if (id !== sampled)
    return [
      { rule: "sampled_ids", ...at, reason: `token ${sampled} was sampled, ${id} is trained` },
    ];
  const difference = paths.differsFrom(
    transcript.tokens_L.subarray(0, token),
    batch.targetRows_N[n]!,
  );
  return difference === undefined ? [] : [{ rule: "context", ...at, reason: difference }];
}

/** Which tokens each row of a trie attends to, in order. */
class RowPaths {
  private readonly nodesOf_T: (readonly number[])[]; // segments that cover the row, outermost first

  constructor(private readonly batch: TrainBatch) {
    this.nodesOf_T = Array.from(batch.tokens_T, () => []);
    const { segments_S3 } = batch;
    for (let s = 0; s < segments_S3.length; s += 3) {
      for (let row = segments_S3[s]!; row < segments_S3[s + 2]!; row++)
        this.nodesOf_T[row] = [...this.nodesOf_T[row]!, s];
    }
  }

  /**
   * What distinguishes the tokens that `row` sees, itself included, from `expected`; undefined when
   * they are the same.
   */
  differsFrom(expected: Int32Array, row: number): string | undefined {
    const { tokens_T, positions_T, segments_S3 } = this.batch;
    let depth = 0;
    for (const s of this.nodesOf_T[row] ?? []) {
      const end = Math.min(segments_S3[s + 1]!, row + 1);
      for (let t = segments_S3[s]!; t < end; t++, depth++) {
        if (positions_T[t] !== depth)
          return `its token ${depth} is trained at position ${positions_T[t]}`;
        if (tokens_T[t] !== expected[depth])
          return `token ${depth} before it was ${expected[depth]}, is ${tokens_T[t]} in training`;
      }
    }
    return depth === expected.length
      ? undefined
      : `sampled after ${expected.length} tokens, trained after ${depth}`;
  }
}

function firstOfEach(violations: readonly Violation[]): Violation[] {
  const first = new Map<string, Violation>();
  for (const violation of violations) {
    const key = `${violation.rule} ${violation.rollout ?? violation.reason}`;
    if (!first.has(key)) first.set(key, violation);
  }
  return [...first.values()];
}

const sum = (values: Uint8Array): number => values.reduce((total, value) => total + value, 0);
const equal = (a: Int32Array, b: Int32Array): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);
