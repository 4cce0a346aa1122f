// What src/train/trie.ts packs, computed by the engine: however rollouts are shared and split into
// micro-batches, their logprobs and the sum of their gradients are those of separate rows. In
// double.

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import type { TrainRollout } from "../../src/train/branches.ts";
import { type BatchOptions, buildBatches } from "../../src/train/trie.ts";
import { Role } from "../../src/types.ts";
import { ADAMW, maxAbs, openCpu, openTiny } from "../helpers/engine.ts";
import { forests, separate } from "../helpers/tries.ts";

const VOCAB = 37;

/** The root-to-leaf paths of a random forest, twice each, as rollouts with random roles. */
const rolloutSets = fc
  .tuple(forests(VOCAB), fc.infiniteStream(fc.constantFrom(...Object.values(Role))))
  .map(([forest, roles]) => rolloutsOf(separate(forest).batch, roles));

function rolloutsOf(
  rows: { tokens_T: Int32Array; segments_S3: Int32Array },
  roles: Iterator<Role>,
): TrainRollout[] {
  const starts = [...rows.segments_S3].filter((_, i) => i % 3 === 0);
  const sequences = starts.map((start, i) => rows.tokens_T.slice(start, starts[i + 1]));
  return [...sequences, ...sequences].map((tokens_L) => ({
    tokens_L,
    roles_L: Uint8Array.from(tokens_L, (_, i) =>
      i === 0 ? Role.prompt : (roles.next().value as Role),
    ),
  }));
}

interface Outcome {
  /** By rollout and token: `source:offset`. */
  readonly logprobs: ReadonlyMap<string, number>;
  readonly gradients: readonly Float64Array[];
}

/** dL/dlogprob depends on the rollout and the token, so that a mix-up shows. */
function run(policy: Policy, rollouts: readonly TrainRollout[], options: BatchOptions): Outcome {
  using trainer = Trainer.open(policy, ADAMW);
  const logprobs = new Map<string, number>();
  for (const batch of buildBatches(rollouts, options)) {
    const { logprobs_N } = trainer.logprobs(batch, { temperature: 1 });
    const name = (n: number): string => `${batch.sources_N[n]}:${batch.offsets_N[n]}`;
    logprobs_N.forEach((value, n) => logprobs.set(name(n), value));
    trainer.backward(
      logprobs_N.map((_, n) => Math.cos(batch.sources_N[n]! + 10 * batch.offsets_N[n]!)),
    );
  }
  const gradients = policy.tensors().map(({ name }) => trainer.readTensorF64("gradient", name));
  return { logprobs, gradients };
}

const OPTIONS: readonly [string, BatchOptions][] = [
  ["one micro-batch", { maxTokens: 10_000 }],
  ["small micro-batches", { maxTokens: 40 }],
  ["short prefixes repeated", { maxTokens: 60, minSharedTokens: 5 }],
];
for (const [name, options] of OPTIONS) {
  test(`packed rollouts equal separate rows: ${name}`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f64");
    fc.assert(
      fc.property(rolloutSets, (rollouts) => {
        const packed = run(policy, rollouts, options);
        const plain = run(policy, rollouts, { maxTokens: 10_000, share: false });
        expect([...packed.logprobs.keys()].toSorted()).toEqual(
          [...plain.logprobs.keys()].toSorted(),
        );
        for (const [target, value] of plain.logprobs) {
          expect(Math.abs(packed.logprobs.get(target)! - value)).toBeLessThan(1e-10);
        }
        const scale = Math.max(1e-300, ...plain.gradients.map(maxAbs));
        plain.gradients.forEach((gradient, i) => {
          const difference = gradient.map((value, j) => value - packed.gradients[i]![j]!);
          expect(maxAbs(difference) / scale).toBeLessThan(1e-10);
        });
      }),
      { seed: 21, numRuns: 20 },
    );
  });
}
