// The recipe: everything a run is made of, as data. The schema refuses unknown keys and wrong
// combinations; its defaults are the paper's (arXiv 2603.08068), where it gives one. Not here:
// reading files and pointing at lines (load.ts). Keys are snake_case here and in YAML.

import { z } from "zod";
import { BYTES_PATTERN } from "./bytes.ts";
import { isOwnWorld, sources } from "./data-recipe.ts";
import { lora } from "./lora-recipe.ts";
import { rewardSection } from "./reward-recipe.ts";
import { knowsMoreThanAlmanac, tools } from "./tool-recipe.ts";

const count = z.int().positive();
const share = z.number().min(0).max(1);

const policy = z.strictObject({
  /** `nano` is the policy inside the executable; else a Hugging Face model folder. */
  model: z.string().min(1).default("nano"),
  device: z.enum(["cpu", "cuda"]).default("cpu"),
  dtype: z.enum(["f32", "bf16"]).default("f32"),
  /** Memory for keys and values of the rollouts in flight, in tokens. */
  cache_tokens: count.default(65536),
  /** Absent: 16, and 256 on CUDA. */
  page_tokens: count.multipleOf(16).optional(),
});

const data = z.strictObject({
  /** Questions to train on; several sources are mixed. */
  train: sources.prefault(["almanac"]),
  /** Held-out questions; several sources take turns. Absent: some are held out of `train`. */
  validation: sources.optional(),
  /** How many that are; absent: a tenth, at most 500. */
  holdout: count.optional(),
});

const line = z.string().regex(/^[^\n]*$/, "one line");

/** What a prompt says around the examples; what is absent has the rollout template's words. */
const prompt = z.strictObject({
  instruction: line.optional(),
  /** A reminder for each tag; `{open}` and `{close}` stand for the tags. */
  format: z
    .strictObject({
      think: line.optional(),
      /** For every tool that `calls` has no line for. */
      call: line.optional(),
      /** By the tool's name. */
      calls: z.record(z.string().min(1), line).optional(),
      observation: line.optional(),
      answer: line.optional(),
    })
    .prefault({}),
  /** Before the examples, where there are any. */
  examples: line.optional(),
  /** Between the examples and the actual question. */
  hand_over: line.optional(),
  /** Before each question. */
  question: line.optional(),
});

const rollout = z.strictObject({
  prompts_per_step: count.default(64),
  samples_per_prompt: count.default(8),
  temperature: z.number().positive().default(1),
  top_p: z.number().positive().max(1).default(1),
  max_calls: z.int().min(0).default(6),
  max_turn_tokens: count.default(2048),
  /** Sampled tokens of a whole rollout, over all turns. */
  max_new_tokens: count.default(8192),
  /** Prompt, sampled tokens and observations together. */
  context: count.default(16384),
  /** A rollout ends where its text holds one of these. */
  stop: z.array(z.string().min(1)).default([]),
});

const objective = z.strictObject({
  clip_low: share.default(0.2),
  clip_high: z.number().min(0).default(0.2),
  /** Bounds the ratio where the advantage is negative. */
  clip_dual: z.number().gt(1).optional(),
  kl: z
    .strictObject({
      kind: z.enum(["k1", "k2", "k3"]).default("k3"),
      coefficient: z.number().min(0).default(0.001),
    })
    .prefault({}),
  /** How the losses of tokens become one number: what counts the same. */
  reduction: z
    .enum(["token_mean", "sequence_mean", "group_mean", "sequence_sum", "sequence_sum_over_max"])
    .default("token_mean"),
  /** Coefficient of the entropy bonus. */
  entropy: z.number().min(0).default(0),
});

const warmup = z
  .strictObject({ steps: z.int().min(0).optional(), share: share.optional() })
  .check((context) => {
    const { steps, share: part } = context.value;
    if ((steps === undefined) !== (part === undefined)) return;
    refuse(context, [], "warmup wants either steps or share (of the steps of its stage), not both");
  });

const train = z.strictObject({
  learning_rate: z.number().positive().default(1e-6),
  betas: z.tuple([share, share]).default([0.9, 0.999]),
  eps: z.number().positive().default(1e-8),
  weight_decay: z.number().min(0).default(0.01),
  optimizer: z
    .strictObject({
      /** Of each of AdamW's two moments; 8: in blocks of 256 numbers with a scale each. */
      state_bits: z.union([z.literal(32), z.literal(8)]).default(32),
      /** Moments and master weights lie in the host's memory and pass the GPU in each step. */
      offload: z.boolean().default(false),
    })
    .prefault({}),
  /**
   * In fp32 beside a bf16 policy's. false: there is only the policy in bf16, and an update is rounded
   * up or down by chance, so that small ones count on average.
   */
  master_weights: z.boolean().default(true),
  /** Gradients are scaled down to this global norm. */
  max_grad_norm: z.number().positive().default(1),
  warmup: warmup.default({ share: 0.1 }),
  /** The rollouts of a step are split into this many updates, group by group. */
  updates_per_step: count.default(1),
  objective: objective.prefault({}),
  advantage: z
    .strictObject({
      /** What the deviation from the group's mean is divided by; `none`: nothing. */
      std: z.enum(["none", "unbiased", "biased"]).default("unbiased"),
      eps: z.number().positive().default(1e-6),
    })
    .prefault({}),
  /**
   * Only low-rank adapters learn, `{}`: of rank 32 at every matrix; absent: all weights. They want
   * a learning rate three to ten times as high. Where the KL anchor moves to a stage's start
   * (carry.reference: false and a KL term), the adapters are merged there and fresh ones begin:
   * what they change is then always measured from the anchor, which is their base. Else the same
   * adapters learn through all stages, on the model that the run began with.
   */
  lora: lora.optional(),
  /** Distinct tokens of a micro-batch, at most. */
  max_batch_tokens: count.default(16384),
  /**
   * What the policy, its optimizer, the cache and a micro-batch may take together, such as 24GiB.
   * Absent: nine tenths of the machine's memory, or of the device's.
   */
  memory: z.union([count, z.string().regex(BYTES_PATTERN, "an amount such as 24GiB")]).optional(),
  /**
   * Layers that are computed again in the backward instead of keeping their activations; auto: as
   * few as the memory asks for.
   */
  recompute: z.enum(["auto", "nothing", "layers"]).default("auto"),
  /** The run stops when sampler and trainer disagree on a token's logprob by more than this. */
  logprob_gate: z
    .strictObject({
      mean: z.number().positive().default(0.005),
      max: z.number().positive().default(0.5),
    })
    .prefault({}),
});

const gate = z.strictObject({
  /** EM without demonstrations that the policy needs before this stage. */
  zero_shot_em: share,
  /** More steps of the stage before, at most, to get there. */
  max_extra_steps: z.int().min(0).default(20),
  /** Steps between two looks. */
  every: count.default(5),
  /** Training questions of a look. */
  questions: count.default(100),
});

const stage = z.strictObject({
  shots: z.int().min(0),
  steps: count,
  /** Ids of the demonstrations, in the order shown; absent: the first `shots` of the source. */
  demos: z.array(z.string().min(1)).optional(),
  /** The learning rate falls over the stage to this share of it; absent: it stays. */
  decay: z
    .strictObject({ kind: z.enum(["linear", "cosine"]).default("linear"), to: share })
    .optional(),
  gate: gate.optional(),
});

/** What a stage takes over from the one before besides the policy. The defaults start afresh. */
const carry = z.strictObject({
  /** AdamW's moments and step count. */
  optimizer: z.boolean().default(false),
  /** true: the KL anchor stays what the run began with; false: it moves to each stage's start. */
  reference: z.boolean().default(false),
  /** true: warm up once, in the first stage. */
  warmup: z.boolean().default(false),
});

const evaluation = z.strictObject({
  /** Held-out questions, the same at every evaluation. */
  limit: count.default(500),
  shots: z.array(z.int().min(0)).min(1).default([0]),
  temperature: z.number().min(0).default(1),
});

export const recipeSchema = z
  .strictObject({
    name: z.string().regex(/^[\w.-]+$/, "a name of letters, digits, '.', '_' and '-'"),
    description: z.string().default(""),
    seed: z.int().min(0).max(0xffff_ffff).default(1),
    policy: policy.prefault({}),
    data: data.prefault({}),
    /** `search` or `almanac`, inside the executable, or a YAML file. Absent: as `data.train`. */
    demonstrations: z.string().min(1).optional(),
    /** The tag profile: how the policy writes thoughts, calls and answers. */
    tags: z.string().min(1).default("icrl"),
    prompt: prompt.prefault({}),
    tool: tools.prefault({ search: {} }),
    /** A recording that all answers of tools come from: nobody is asked for anything. */
    replay: z.string().min(1).optional(),
    reward: rewardSection.prefault({}),
    rollout: rollout.prefault({}),
    train: train.prefault({}),
    stages: z
      .array(stage)
      .min(1)
      .default([3, 2, 0].map((shots) => ({ shots, steps: 50 }))),
    carry: carry.prefault({}),
    eval: evaluation.prefault({}),
  })
  .check(refuseWrongCombinations);

export type Recipe = z.output<typeof recipeSchema>;

/** Long pages lie side by side in memory, which flash attention reads at once. */
export const pageTokensOf = ({ device, page_tokens }: Recipe["policy"]): number =>
  page_tokens ?? (device === "cuda" ? 256 : 16);
export type SourceRecipe = Recipe["data"]["train"][number];
export type StageRecipe = Recipe["stages"][number];
export type GateRecipe = NonNullable<StageRecipe["gate"]>;

/** At each stage's start: the KL term then holds on to the policy as it is there. */
export function movesAnchor({ train, carry }: Pick<Recipe, "train" | "carry">): boolean {
  return train.objective.kl.coefficient > 0 && !carry.reference;
}

type Path = (string | number)[];
interface Refinement<T> {
  readonly value: T;
  readonly issues: z.core.$ZodRawIssue[];
}

/** Each of these runs, and is wrong: the reason is the message. */
function refuseWrongCombinations(context: Refinement<Recipe>): void {
  const recipe = context.value;
  if (recipe.rollout.top_p < 1) {
    const why = "sampling would be truncated while logprobs are not, which biases the ratio";
    refuse(context, ["rollout", "top_p"], `top_p below 1 is refused in training: ${why}`);
  }
  refuseWrongData(context, recipe);
  refuseWrongRollout(context, recipe);
  refuseWrongUpdate(context, recipe);
  recipe.stages.forEach((each, index) => refuseWrongStage(context, each, index));
}

function refuseWrongData(context: Refinement<Recipe>, { data, tool }: Recipe): void {
  for (const split of ["train", "validation"] as const) {
    const weighted = data[split]?.filter(({ weight }) => weight !== undefined).length ?? 0;
    if (weighted === 0) continue;
    const why = "give one to each source or to none; without any, sources count by their size";
    if (split === "validation") {
      const hint = "held-out questions have no weight: sources take turns";
      refuse(context, ["data", split], hint);
    } else if (weighted < data.train.length) {
      refuse(context, ["data", split], `${weighted} of ${data.train.length} weights: ${why}`);
    }
  }
  if (data.validation !== undefined && data.holdout !== undefined) {
    const why = "there is data.validation, so nothing is held out of data.train";
    refuse(context, ["data", "holdout"], `data.holdout does nothing: ${why}`);
  }
  const needsMore = !data.train.every(({ path }) => isOwnWorld(path));
  if (needsMore && !Object.values(tool).some(knowsMoreThanAlmanac)) {
    const why = "the search tool without one finds nothing but the almanac";
    refuse(context, ["data", "train"], `these questions need a retriever, tool.search.url: ${why}`);
  }
}

function refuseWrongRollout(context: Refinement<Recipe>, { rollout }: Recipe): void {
  const { context: limit, max_new_tokens, max_turn_tokens, samples_per_prompt } = rollout;
  if (samples_per_prompt < 2) {
    const why = "an advantage compares the samples of one prompt";
    refuse(context, ["rollout", "samples_per_prompt"], `at least 2 samples a prompt: ${why}`);
  }
  if (max_new_tokens >= limit) {
    const why = `max_new_tokens ${max_new_tokens} leaves no room for a prompt`;
    refuse(context, ["rollout", "context"], `a context of ${limit} is too small: ${why}`);
  }
  if (max_turn_tokens > max_new_tokens) {
    const why = `above max_new_tokens ${max_new_tokens}, so it would never be reached`;
    refuse(context, ["rollout", "max_turn_tokens"], `max_turn_tokens ${max_turn_tokens} is ${why}`);
  }
}

function refuseWrongUpdate(context: Refinement<Recipe>, recipe: Recipe): void {
  const { updates_per_step: updates, max_batch_tokens: batch } = recipe.train;
  if (batch < recipe.rollout.context) {
    const why = `a rollout of the whole context, ${recipe.rollout.context}, must fit in one`;
    refuse(context, ["train", "max_batch_tokens"], `micro-batches of ${batch} tokens: ${why}`);
  }
  const prompts = recipe.rollout.prompts_per_step;
  if (updates > prompts) {
    const why = `a group is never split, and a step has ${prompts}`;
    refuse(context, ["train", "updates_per_step"], `${updates} updates a step: ${why}`);
  }
  if (recipe.train.lora !== undefined && recipe.carry.optimizer && movesAnchor(recipe)) {
    const why = "adapters begin anew where the KL anchor moves, so no state is left to carry";
    const hint = "set carry.optimizer: false or carry.reference: true";
    refuse(context, ["carry", "optimizer"], `${why}: ${hint}`);
  }
  if (recipe.policy.dtype === "bf16" && recipe.policy.device === "cpu") {
    refuse(context, ["policy", "dtype"], "bf16 is for cuda; a CPU computes in f32");
  }
  refuseWrongOptimizer(context, recipe);
}

function refuseWrongOptimizer(context: Refinement<Recipe>, { policy, train }: Recipe): void {
  const isFull = train.optimizer.state_bits === 32 && !train.optimizer.offload;
  if (train.lora !== undefined && !(isFull && train.master_weights)) {
    const why = "adapters are small and keep their state in fp32 on the device";
    refuse(context, ["train", "lora"], `train.optimizer and train.master_weights do nothing: ${why}`);
  }
  if (!train.master_weights && policy.dtype === "f32") {
    const why = "an f32 policy's weights are the masters; only bf16 ones can do without";
    refuse(context, ["train", "master_weights"], `master_weights: false is refused: ${why}`);
  }
  if (train.optimizer.offload && policy.device === "cpu") {
    const why = "a CPU's memory is the host's";
    refuse(context, ["train", "optimizer", "offload"], `there is nothing to offload: ${why}`);
  }
}

function refuseWrongStage(context: Refinement<Recipe>, stage: StageRecipe, index: number): void {
  const at: Path = ["stages", index];
  const named = stage.demos?.length;
  if (named !== undefined && named < stage.shots) {
    refuse(context, [...at, "demos"], `${named} demos named for ${stage.shots} shots`);
  }
  if (new Set(stage.demos).size !== (named ?? 0)) {
    refuse(context, [...at, "demos"], "a demonstration is named twice");
  }
  if (index === 0 && stage.gate !== undefined) {
    const why = "no stage comes before it that could train on";
    refuse(context, [...at, "gate"], `the first stage can have no gate: ${why}`);
  }
}

function refuse<T>(context: Refinement<T>, path: Path, message: string): void {
  context.issues.push({ code: "custom", input: context.value, path, message });
}
