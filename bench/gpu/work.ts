// The amounts of work of `icrl bench gpu`: the paper's step on policies of Qwen2.5's shapes. `TINY`
// only shows that everything runs, on any device.

import { PRECISION_SHAPE } from "../precision.ts";
import type { ShapeName, StepShape } from "../shapes.ts";

/** A step whose rollouts search once: turns of half the sampled tokens, an observation between. */
export interface SearchShape extends StepShape {
  readonly observation: number;
}

export interface GpuWork {
  readonly precision: StepShape;
  readonly policy: ShapeName;
  /** Rows that decode together; `own` tokens of each are in the cache before. */
  readonly decode: StepShape;
  readonly step: SearchShape;
  /** Rows that have nothing in common, and how many of them transformers takes at a time. */
  readonly rows: { readonly step: StepShape; readonly micro: number };
  readonly passages: number;
  /** Larger policies: as much of a step as shows that they fit. */
  readonly full: { readonly policy: ShapeName; readonly step: SearchShape };
  readonly lora: { readonly policy: ShapeName; readonly rank: number; readonly step: SearchShape };
  /** false: one step of each stage of nano. */
  readonly trainsNano: boolean;
}

/** 64 prompts of 8 samples: 1,500 tokens of demonstrations, 100 of question, 400 of a rollout. */
const PAPER = { prompts: 64, samples: 8, shared: 1500, own: 100, sampled: 300, observation: 100 };

export const FULL: GpuWork = {
  precision: PRECISION_SHAPE,
  policy: "qwen2.5-3b",
  // 400 own tokens in the middle of the measurement.
  decode: { prompts: 256, samples: 1, shared: 1600, own: 336, sampled: 128 },
  step: PAPER,
  rows: { step: { prompts: 8, samples: 1, shared: 0, own: 1600, sampled: 400 }, micro: 2 },
  passages: 20_000,
  full: { policy: "qwen2.5-7b", step: { ...PAPER, prompts: 16 } },
  lora: { policy: "qwen2.5-14b", rank: 32, step: { ...PAPER, prompts: 16 } },
  trainsNano: true,
};

const SMALL = { prompts: 2, samples: 2, shared: 24, own: 6, sampled: 8, observation: 5 };

export const TINY: GpuWork = {
  precision: SMALL,
  policy: "tiny-qwen2.5",
  decode: { prompts: 4, samples: 1, shared: 24, own: 6, sampled: 8 },
  step: SMALL,
  rows: { step: { prompts: 2, samples: 1, shared: 0, own: 12, sampled: 6 }, micro: 1 },
  passages: 200,
  full: { policy: "tiny-qwen2.5", step: SMALL },
  lora: { policy: "tiny-qwen2.5", rank: 4, step: SMALL },
  trainsNano: false,
};

/** Of a whole step in flight, without what is lost in partly filled pages. */
export const cacheTokensOf = (shape: SearchShape): number =>
  shape.shared +
  shape.prompts * (shape.own + shape.samples * (shape.sampled + shape.observation));
