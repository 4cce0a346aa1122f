// A step on paper against the same step in the engine: rollouts of the planned lengths are packed,
// split and trained for real.

import { expect, test } from "bun:test";
import { counters, resetPeak } from "../../../ffi/native.ts";
import { Trainer } from "../../../ffi/trainer.ts";
import { tokenFlops } from "../../../src/train/plan/cost.ts";
import { engineShape } from "../../../src/train/plan/planner.ts";
import { planStage, type StageOptions } from "../../../src/train/plan/stage-plan.ts";
import { promptsOf, type StepShape } from "../../../src/train/plan/step-shape.ts";
import { update, type UpdateOptions, type WeighedRollout } from "../../../src/train/update.ts";
import { Role, type Rollout } from "../../../src/types.ts";
import { ADAMW, openCpu, openTiny, tinyConfig } from "../../helpers/engine.ts";
import { sampleOf } from "../../helpers/samples.ts";

const VOCAB = 300;

/** Rollouts of that shape: their tokens are the same where the plan says so, else they differ. */
function rolloutsOf({ prompts, samples, response }: StepShape): WeighedRollout[] {
  return prompts.own_P.flatMap((own, prompt) =>
    Array.from({ length: samples }, (_, sample) => {
      const rollout = rolloutOf(prompts.shared, own, response, prompt, sample);
      return { rollout, advantage: sample % 2 === 0 ? 1 : -1 };
    }),
  );
}

function rolloutOf(
  shared: number,
  own: number,
  { sampled, turns, observation }: StepShape["response"],
  prompt: number,
  sample: number,
): Rollout {
  const roles: number[] = Array.from({ length: shared + own }, () => Role.prompt);
  for (let turn = 0; turn < turns; turn++) {
    const [from, to] = [turn, turn + 1].map((at) => Math.round((sampled * at) / turns));
    roles.push(...Array.from({ length: to! - from! }, () => Role.policy));
    const observed = turn < turns - 1 ? observation : 0;
    roles.push(...Array.from({ length: observed }, () => Role.observation));
  }
  const token = (at: number): number => {
    if (at < shared) return at % VOCAB;
    return (at < shared + own ? 100 + prompt : 200 + 8 * prompt + sample) % VOCAB;
  };
  const { rollout } = sampleOf({});
  return {
    ...rollout,
    tokens_L: Int32Array.from(roles, (_, at) => token(at)),
    roles_L: Uint8Array.from(roles),
    samplerLogprobs_L: new Float32Array(roles.length).fill(-5),
    promptTokens: shared + own,
  };
}

const OPTIONS: UpdateOptions = {
  temperature: 1,
  objective: { clipLow: 0.2, clipHigh: 0.2, kl: { kind: "k3", coefficient: 0 }, entropy: 0 },
  reduction: { kind: "token_mean" },
  recompute: "auto",
  maxBatchTokens: 4096,
  learningRate: 1e-3,
  maxGradNorm: 1,
  gapGate: undefined,
};

const own = (count: number, length: number): number[] =>
  Array.from({ length: count }, () => length);
const SHAPES: readonly [string, StepShape, number][] = [
  [
    "long sharing",
    {
      prompts: { shared: 120, own_P: own(2, 10) },
      samples: 3,
      response: { sampled: 8, turns: 1, observation: 0 },
      context: 1000,
    },
    4096,
  ],
  [
    "nothing shared",
    {
      prompts: { shared: 0, own_P: own(6, 20) },
      samples: 1,
      response: { sampled: 9, turns: 1, observation: 0 },
      context: 1000,
    },
    4096,
  ],
  [
    "long observations, in several micro-batches",
    {
      prompts: { shared: 30, own_P: own(3, 5) },
      samples: 3,
      response: { sampled: 9, turns: 3, observation: 40 },
      context: 1000,
    },
    400,
  ],
];

for (const [name, step, maxBatchTokens] of SHAPES) {
  test(`${name}: micro-batches as planned, and the bytes within a tenth`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32", { layers: 3, vocab: VOCAB });
    using trainer = Trainer.open(policy, ADAMW);
    const options = { ...OPTIONS, maxBatchTokens };
    const run = () => update({ trainer, reference: undefined }, rolloutsOf(step), options);
    run(); // what stays from the first use on
    const live = counters().cpuBytes;
    resetPeak();
    const { rowTokens, distinctTokens, numBatches } = run();
    const limits = { maxTokens: maxBatchTokens, maxBytes: Infinity, recompute: "auto" } as const;
    const planned = planStage(engineShape(policy), step, { ...STAGE, limits });
    expect(planned.rowTokens).toBe(rowTokens);
    expect(planned.batches.tokens).toBe(distinctTokens);
    expect(planned.batches.count).toBe(numBatches);
    expect(planned.trieRatio).toBeCloseTo(rowTokens / distinctTokens, 12);
    const used = counters().cpuPeakBytes - live;
    expect(Math.abs(planned.bytes.update / used - 1)).toBeLessThan(0.1);
  });
}

const STAGE: StageOptions = {
  limits: { maxTokens: 4096, maxBytes: Infinity, recompute: "nothing" },
  updates: 1,
  hasReference: true,
  maxPrefill: 8192,
  maxInFlight: 64,
};
const SHAPE = {
  config: tinyConfig(),
  dtype: "f32",
  device: "cpu",
  threads: 1,
  panel: 16,
} as const;

test("FLOPs of one short rollout, by hand", () => {
  const { hidden: d, heads: H, kvHeads: K, headDim: D, ffn: F, vocab: V, layers: L } = SHAPE.config;
  const matrices = d * (H + 2 * K) * D + H * D * d + 3 * d * F;
  const step: StepShape = {
    prompts: { shared: 1, own_P: [1] },
    samples: 1,
    response: { sampled: 2, turns: 1, observation: 0 },
    context: 100,
  };
  const { flops } = planStage(SHAPE, step, STAGE);
  const layers = 3 * 2 * L * matrices; // three rows: the last token is none
  const attention = (1 + 2 + 3) * 4 * L * H * D;
  const head = 2 * 2 * d * V; // two targets
  expect(flops.rollouts).toBe(layers + attention + head);
  expect(flops.reference).toBe(layers + attention + head);
  expect(flops.update).toBe(3 * layers + 3.5 * attention + 4 * head);
  expect(tokenFlops(SHAPE.config).layers).toBe(2 * L * matrices);
});

test("several updates of a step are split each for itself", () => {
  const [, step] = SHAPES[0]!;
  const one = planStage(SHAPE, step, STAGE);
  const two = planStage(SHAPE, step, { ...STAGE, updates: 2 });
  expect([one.batches.count, two.batches.count]).toEqual([1, 2]);
  expect(two.batches.tokens).toBe(one.batches.tokens + 120); // the shared tokens again
});

test("real prompts: what all have in common, and the rest of each", () => {
  const prompts = [
    [1, 2, 3, 4],
    [1, 2, 5],
    [1, 2, 3],
  ].map((tokens) => Int32Array.from(tokens));
  expect(promptsOf(prompts)).toEqual({ shared: 2, own_P: [2, 1, 1] });
  expect(promptsOf(prompts.slice(0, 1))).toEqual({ shared: 4, own_P: [0] });
});
