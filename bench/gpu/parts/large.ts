// Do larger policies fit one card in fact as they do on paper, and what does a step of theirs take?
// As much of the paper's step as shows it.

import { LORA_TARGETS } from "../../../ffi/lora.ts";
import type { TrainerConfig } from "../../../ffi/trainer.ts";
import type { Bench } from "../../bench.ts";
import type { Figure } from "../../figure.ts";
import { numRollouts, type ShapeName } from "../../shapes.ts";
import { ADAMW, Opened } from "../policy.ts";
import { Searcher } from "../rollouts.ts";
import { stepFigures, takeStep } from "../step.ts";
import { searchShapeText } from "../text.ts";
import { memoryFigure } from "../update.ts";
import { cacheTokensOf, type GpuWork, type SearchShape } from "../work.ts";

/** Adapters at every matrix; the frozen weights are the KL reference too. */
export async function lora(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy, rank, step } = bench.work.lora;
  const trainer = { ...ADAMW, lora: { rank, alpha: 2 * rank, targets: LORA_TARGETS }, seed: 1 };
  return largeStep(bench, { key: "gpu.lora", how: `LoRA of rank ${rank}`, policy, trainer, step });
}

/** All weights, in bf16 alone and rounded stochastically; moments in 8 bit. */
export async function full(bench: Bench<GpuWork>): Promise<readonly Figure[]> {
  const { policy, step } = bench.work.full;
  const trainer: TrainerConfig = { ...ADAMW, stateBits: 8, masterWeights: false, seed: 1 };
  const how = "full, bf16 alone, 8-bit state";
  return largeStep(bench, { key: "gpu.full", how, policy, trainer, step });
}

interface Large {
  readonly key: string;
  readonly how: string;
  readonly policy: ShapeName;
  readonly trainer: TrainerConfig;
  readonly step: SearchShape;
}

async function largeStep(
  { device, work }: Bench<GpuWork>,
  { key, how, policy, trainer, step }: Large,
): Promise<readonly Figure[]> {
  const cacheTokens = cacheTokensOf(step);
  const sequences = numRollouts(step);
  using opened = Opened.open(device, policy, { cacheTokens, sequences, trainer, twin: true });
  using searcher = new Searcher(work.passages, opened.policy.config.vocab);
  await takeStep(opened, { ...step, prompts: 1 }, searcher, 0, true); // warm-up
  const taken = await takeStep(opened, step, searcher, 1, true);
  const what = `step with KL, ${policy}, ${how}`;
  return [
    ...stepFigures({ key, what }, taken, searchShapeText(step)),
    memoryFigure(key, taken.update),
  ];
}
