// `train.lora`: adapters instead of a full fine-tune, in PEFT's words. Not what they compute
// (ffi/engine/lora.h), nor where they begin anew (train/learner.ts).

import { z } from "zod";

const target = z.enum([
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
]);

export const lora = z.strictObject({
  rank: z.int().positive().max(4096).default(32),
  /** The adapters' product is scaled by alpha / rank. */
  alpha: z.number().positive().default(64),
  /** Of every layer. */
  targets: z
    .array(target)
    .min(1)
    .refine((each) => new Set(each).size === each.length, "a target is named twice")
    .default([...target.options]),
});
