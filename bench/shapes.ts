// Random policies of known shapes and the common step shape, so that every bench and every peer is timed on the same work.
import type { PolicyConfig } from "../ffi/policy.ts";
import { rotary } from "../src/model/rope.ts";

/** Hidden, layers, heads, kv heads, head_dim, ffn, vocab. */
type Sizes = readonly [number, number, number, number, number, number, number];
const SIZES = {
  nano: [128, 4, 4, 2, 32, 384, 1024],
  "qwen2.5-0.5b": [896, 24, 14, 2, 64, 4864, 151936],
  "qwen2.5-1.5b": [1536, 28, 12, 2, 128, 8960, 151936],
  "qwen2.5-3b": [2048, 36, 16, 2, 128, 11008, 151936],
} as const satisfies Record<string, Sizes>;
export type ShapeName = keyof typeof SIZES;

export function shapeOf(name: ShapeName): PolicyConfig {
  const [hidden, layers, heads, kvHeads, headDim, ffn, vocab] = SIZES[name];
  const qwen3 = name === "nano";
  const { invFreq } = rotary({ type: "default", theta: qwen3 ? 1e4 : 1e6 }, headDim);
  return {
    hidden,
    layers,
    heads,
    kvHeads,
    headDim,
    ffn,
    vocab,
    qkvBias: !qwen3,
    qkNorm: qwen3,
    tied: true,
    rmsEps: 1e-6,
    ropeAttentionScale: 1,
    invFreq,
  };
}

/** Weights that take part in a matrix product for each token; the embedding lookup does not, the LM head is apart. */
export function bodyWeights({ hidden, layers, heads, kvHeads, headDim, ffn }: PolicyConfig): number {
  return layers * (hidden * headDim * (2 * heads + 2 * kvHeads) + 3 * hidden * ffn);
}

/** What a step works on: all prompts share `shared` tokens, each has `own` more, each sample `sampled`. */
export interface StepShape {
  readonly prompts: number;
  readonly samples: number;
  readonly shared: number;
  readonly own: number;
  readonly sampled: number;
}
export const STEP_SHAPE: StepShape = { prompts: 8, samples: 8, shared: 540, own: 100, sampled: 96 };

export const numRollouts = ({ prompts, samples }: StepShape): number => prompts * samples;
/** Tokens as separate rows, prompts included. */
export const rowTokens = (shape: StepShape): number =>
  numRollouts(shape) * (shape.shared + shape.own + shape.sampled);
