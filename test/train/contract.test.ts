import { expect, test } from "bun:test";
import type { RolloutGroup } from "../../src/rollout/batch.ts";
import type { Rollout } from "../../src/types.ts";
import type { RolloutRecord } from "../../src/rollout/rollout.ts";
import { rolloutGroups } from "../../src/rollout/batch.ts";
import { buildBatches, type TrainBatch } from "../../src/train/trie.ts";
import {
  checkContract,
  type ContractEvidence,
  type ContractRule,
} from "../../src/train/contract.ts";
import { Role } from "../../src/types.ts";
import { byteTokenizer, EOS } from "../helpers/byte-tokenizer.ts";
import { promptOf, settings, task } from "../helpers/rollouts.ts";
import { ScriptedEngine } from "../helpers/scripted-engine.ts";

const scripts = [
  "<search> Osk </search><answer> Osk </answer>",
  `so it is${String.fromCharCode(0)}`,
  "<search> Osk </search><search> river </search><answer> b </answer>",
].map((script) => byteTokenizer.encode(script).map((id) => (id === 0 ? EOS : id)));

/** Two groups of three rollouts: one call, an end token, two calls. */
async function evidence(maxTokens = 10_000): Promise<ContractEvidence> {
  const engine = new ScriptedEngine((_, sample) => scripts[sample]!);
  const requests = [0, 1].map((stream) => ({
    id: `g${stream}`,
    stream,
    task,
    prompt: promptOf("Use search.\n", `Where ${stream}?\n`),
    numSamples: 3,
  }));
  const { groups } = await rolloutGroups(engine, requests, settings());
  return { groups, batches: pack(groups, maxTokens), eosIds: [EOS] };
}

function pack(groups: readonly RolloutGroup[], maxTokens = 10_000): readonly TrainBatch[] {
  const rollouts = groups.flatMap(({ records }) => records.map(({ rollout }) => rollout));
  return buildBatches(rollouts, { maxTokens });
}

/** The evidence with one rollout changed, packed again as the loop would. */
function withRollout(
  given: ContractEvidence,
  r: number,
  change: (rollout: Rollout) => Partial<Rollout>,
) {
  let next = 0;
  const groups = given.groups.map((group) => ({
    ...group,
    records: group.records.map((record): RolloutRecord => {
      if (next++ !== r) return record;
      return { ...record, rollout: { ...record.rollout, ...change(record.rollout) } };
    }),
  }));
  return { ...given, groups, batches: pack(groups) };
}

function withBatch(
  given: ContractEvidence,
  change: (batch: TrainBatch) => Partial<TrainBatch>,
): ContractEvidence {
  return { ...given, batches: given.batches.map((batch) => ({ ...batch, ...change(batch) })) };
}

const rules = (given: ContractEvidence): ContractRule[] =>
  checkContract(given).map(({ rule }) => rule);

test("real rollouts keep the contract, in one batch as in several", async () => {
  const [whole, split] = [await evidence(), await evidence(150)];
  expect(whole.batches).toHaveLength(1);
  expect(split.batches.length).toBeGreaterThan(1);
  expect(checkContract(whole)).toEqual([]);
  expect(checkContract(split)).toEqual([]);
});

const replaced = <A extends Int32Array | Uint8Array>(array: A, at: number, value: number): A => {
  const copy = array.slice() as A;
  copy[at] = value;
  return copy;
};
const firstOf = ({ roles_L }: Rollout, role: Role): number => roles_L.indexOf(role);

/** Tokenised again: one token more, as decoding, cutting and encoding does. */
function retokenised(rollout: Rollout): Partial<Rollout> {
  const at = firstOf(rollout, Role.policy);
  const insert = <A extends Int32Array | Uint8Array>(array: A, make: (items: number[]) => A): A =>
    make([...array.slice(0, at), array[at]!, ...array.slice(at)]);
  return {
    tokens_L: insert(rollout.tokens_L, (items) => Int32Array.from(items)),
    roles_L: insert(rollout.roles_L, (items) => Uint8Array.from(items)),
  };
}

/** Context cut from the left: the demonstrations are gone, the rest is the same. */
function cutLeft(rollout: Rollout): Partial<Rollout> {
  return {
    tokens_L: rollout.tokens_L.slice(3),
    roles_L: rollout.roles_L.slice(3),
    promptTokens: rollout.promptTokens - 3,
  };
}

const withoutLast = (rollout: Rollout): Partial<Rollout> => ({
  tokens_L: rollout.tokens_L.slice(0, -1),
  roles_L: rollout.roles_L.slice(0, -1),
});

const planted: readonly (readonly [
  string,
  ContractRule,
  (given: ContractEvidence) => ContractEvidence,
])[] = [
  [
    "a token that was not sampled is trained",
    "sampled_ids",
    (given) =>
      withRollout(given, 0, (rollout) => ({
        tokens_L: replaced(rollout.tokens_L, firstOf(rollout, Role.policy), 65),
      })),
  ],
  ["text is tokenised again", "sampled_ids", (given) => withRollout(given, 0, retokenised)],
  [
    "a target has another id than its token",
    "sampled_ids",
    (given) =>
      withBatch(given, ({ targetIds_N }) => ({ targetIds_N: replaced(targetIds_N, 4, 65) })),
  ],
  [
    "a sampled token is masked, as one equal to a padding id would be",
    "mask_sum",
    (given) =>
      withRollout(given, 2, (rollout) => ({
        roles_L: replaced(rollout.roles_L, firstOf(rollout, Role.policy) + 2, Role.observation),
      })),
  ],
  ["a micro-batch is lost", "mask_sum", (given) => ({ ...given, batches: [] })],
  [
    "a micro-batch is trained twice",
    "mask_sum",
    (given) => ({ ...given, batches: [...given.batches, ...given.batches] }),
  ],
  [
    "an observation carries loss",
    "tool_tokens",
    (given) =>
      withRollout(given, 0, (rollout) => ({
        roles_L: replaced(rollout.roles_L, firstOf(rollout, Role.observation), Role.policy),
      })),
  ],
  ["the sampled end token is dropped", "eos", (given) => withRollout(given, 1, withoutLast)],
  [
    "the end token is kept but not trained",
    "eos",
    (given) =>
      withRollout(given, 1, (rollout) => ({
        roles_L: replaced(rollout.roles_L, rollout.roles_L.length - 1, Role.observation),
      })),
  ],
  [
    "two groups have one id",
    "group_ids",
    (given) => ({ ...given, groups: given.groups.map((group) => ({ ...group, id: "g0" })) }),
  ],
  [
    "a group mixes two prompts",
    "group_ids",
    (given) =>
      withRollout(given, 1, (rollout) => ({ tokens_L: replaced(rollout.tokens_L, 2, 65) })),
  ],
  [
    "a rollout says that it is of another group",
    "group_ids",
    (given) => withRollout(given, 1, () => ({ groupId: "g1" })),
  ],
  ["a sample is there twice", "group_ids", (given) => withRollout(given, 1, () => ({ sample: 0 }))],
  [
    "the context is cut from the left in training",
    "context",
    (given) => withRollout(given, 3, cutLeft),
  ],
  [
    "a prompt token differs in training",
    "context",
    (given) =>
      withRollout(given, 0, (rollout) => ({ tokens_L: replaced(rollout.tokens_L, 0, 65) })),
  ],
  [
    "a row of the batch differs",
    "context",
    (given) => withBatch(given, ({ tokens_T }) => ({ tokens_T: replaced(tokens_T, 3, 65) })),
  ],
  [
    "positions restart",
    "context",
    (given) =>
      withBatch(given, ({ positions_T }) => ({ positions_T: replaced(positions_T, 5, 0) })),
  ],
  [
    "a target looks at the wrong row",
    "context",
    (given) =>
      withBatch(given, ({ targetRows_N }) => ({
        targetRows_N: replaced(targetRows_N, 6, targetRows_N[5]!),
      })),
  ],
  [
    "a branch sees its sibling",
    "context",
    (given) => withBatch(given, ({ segments_S3 }) => ({ segments_S3: widened(segments_S3) })),
  ],
];

/** The first leaf's tokens are seen by the rows after it. */
function widened(segments_S3: Int32Array): Int32Array {
  for (let s = 0; s < segments_S3.length; s += 3) {
    const isLeaf = segments_S3[s + 1] === segments_S3[s + 2];
    if (isLeaf) return replaced(segments_S3, s + 2, segments_S3[s + 2]! + 3);
  }
  throw new Error("no leaf");
}

test.each(planted)("a planted fault is caught: %s", async (_, rule, plant) => {
  const violations = checkContract(plant(await evidence()));
  expect(violations.map((violation) => violation.rule)).toContain(rule);
  for (const { reason } of violations) expect(reason).not.toContain("undefined");
});

test("a fault in one rollout is reported once for each rule, with its place", async () => {
  const given = withRollout(await evidence(), 0, (rollout) => ({
    roles_L: rollout.roles_L.map((role) => (role === Role.observation ? Role.policy : role)),
  }));
  const violations = checkContract(given).filter(({ rule }) => rule === "tool_tokens");
  const rollout = given.groups[0]!.records[0]!.rollout;
  expect(violations).toHaveLength(1);
  expect(violations[0]).toMatchObject({ rollout: 0, token: rollout.turns[0]!.policyEnd });
});

test("rollouts without a sampled token are no fault", async () => {
  const { limits } = settings();
  const engine = new ScriptedEngine(() => []);
  const requests = [{ id: "g", stream: 0, task, prompt: promptOf("long"), numSamples: 2 }];
  const short = settings({ limits: { ...limits, context: 4 } });
  const { groups } = await rolloutGroups(engine, requests, short);
  expect(rules({ groups, batches: pack(groups), eosIds: [EOS] })).toEqual([]);
});
