// Random policies of known shapes and the amounts of work that they are timed on. Peers get the
// same shapes and token counts, so that a figure and its opponent are about the same work. `tiny`
// only shows that everything runs.

import type { PolicyConfig } from "../ffi/policy.ts";
import { configOf, publishedConfig, type Sizes } from "../src/model/published.ts";

const PUBLISHED = {
  "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B",
  "qwen2.5-3b": "Qwen/Qwen2.5-3B",
  "qwen2.5-7b": "Qwen/Qwen2.5-7B",
  "qwen2.5-14b": "Qwen/Qwen2.5-14B",
} as const;

/** Of our own. */
const SIZES = {
  nano: [128, 4, 4, 2, 32, 384, 1024, true],
  "tiny-qwen2.5": [64, 2, 4, 2, 16, 128, 512, true],
} as const satisfies Readonly<Record<string, Sizes>>;
export type ShapeName = keyof typeof SIZES | keyof typeof PUBLISHED;

/** nano is of the Qwen3 family, the others of Qwen2.5's. */
export function shapeOf(name: ShapeName): PolicyConfig {
  if (name !== "nano" && name !== "tiny-qwen2.5") return publishedConfig(PUBLISHED[name])!;
  return configOf(SIZES[name], name === "nano" ? "qwen3" : "qwen2", ropeTheta(name));
}

export const ropeTheta = (name: ShapeName): number => (name === "nano" ? 1e4 : 1e6);

/** What a step works on: all prompts share `shared` tokens, each has `own` more. */
export interface StepShape {
  readonly prompts: number;
  readonly samples: number;
  readonly shared: number;
  readonly own: number;
  readonly sampled: number;
}

export const numRollouts = ({ prompts, samples }: StepShape): number => prompts * samples;

export const shapeText = ({ prompts, samples, shared, own, sampled }: StepShape): string =>
  `${prompts} x ${samples}, ${shared} shared + ${own} own + ${sampled} sampled`;

/** Prompts that have nothing in common, so that there is nothing to share but a sample's prompt. */
export interface LongShape {
  readonly step: StepShape;
  /** Tokens of an observation that belongs to its sample alone: from, to. */
  readonly observation: readonly [number, number];
}

export interface Work {
  readonly step: StepShape;
  readonly large: ShapeName;
  readonly largeStep: StepShape;
  readonly largeDecode: { readonly prompt: number; readonly sampled: number };
  readonly largeBatches: readonly number[];
  readonly samplesTimes: readonly number[];
  readonly contextTimes: readonly number[];
  readonly stagePrompts: number;
  readonly stageSamples: number;
  readonly long: LongShape;
}

export const FULL: Work = {
  step: { prompts: 8, samples: 8, shared: 540, own: 100, sampled: 96 },
  large: "qwen2.5-0.5b",
  largeStep: { prompts: 2, samples: 4, shared: 192, own: 16, sampled: 48 },
  largeDecode: { prompt: 32, sampled: 32 },
  largeBatches: [1, 16],
  samplesTimes: [1, 2, 4, 8],
  contextTimes: [1, 2, 4],
  stagePrompts: 16,
  stageSamples: 8,
  long: {
    step: { prompts: 4, samples: 4, shared: 540, own: 100, sampled: 96 },
    observation: [1000, 1500],
  },
};

export const TINY: Work = {
  step: { prompts: 2, samples: 2, shared: 32, own: 8, sampled: 8 },
  large: "tiny-qwen2.5",
  largeStep: { prompts: 2, samples: 2, shared: 16, own: 4, sampled: 6 },
  largeDecode: { prompt: 8, sampled: 6 },
  largeBatches: [1, 3],
  samplesTimes: [1, 2],
  contextTimes: [1, 2],
  stagePrompts: 2,
  stageSamples: 2,
  long: {
    step: { prompts: 2, samples: 2, shared: 20, own: 8, sampled: 8 },
    observation: [30, 40],
  },
};
