// Which matrices low-rank adapters are for, and the names and shapes of an adapter's tensors. What they compute: engine/lora.h.
import type { PolicyConfig, TensorInfo } from "./policy.ts";

/** PEFT's names of the matrices of a layer, in the order of icrl_lora_target's bits. */
export const LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type LoraTarget = (typeof LORA_TARGETS)[number];

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number; // the adapters' product is scaled by alpha / rank
  readonly targets: readonly LoraTarget[];
}

/** Of icrl_lora_target. */
export const targetBits = (targets: readonly LoraTarget[]): number =>
  targets.reduce((bits, target) => bits | (1 << LORA_TARGETS.indexOf(target)), 0);

export interface AdaptedMatrix {
  readonly rows: number;
  readonly columns: number;
}

/** A layer's matrices [rows, columns] as Hugging Face stores them. */
export function targetShape(
  { hidden, heads, kvHeads, headDim, ffn }: PolicyConfig,
  target: LoraTarget,
): AdaptedMatrix {
  if (target === "o_proj") return { rows: hidden, columns: heads * headDim };
  if (target === "down_proj") return { rows: hidden, columns: ffn };
  if (target === "gate_proj" || target === "up_proj") return { rows: ffn, columns: hidden };
  return { rows: (target === "q_proj" ? heads : kvHeads) * headDim, columns: hidden };
}

/** Of the policy's tensors: "<module>.lora_A.weight" [rank, columns] and "<module>.lora_B.weight" [rows, rank]. */
export function adapterTensors(policy: readonly TensorInfo[], { rank, targets }: LoraConfig): readonly TensorInfo[] {
  const adapted = policy.filter(({ name }) => targets.some((target) => name.endsWith(`.${target}.weight`)));
  return adapted.flatMap(({ name, shape: [rows = 0, columns = 0] }) => {
    const module = name.slice(0, -".weight".length);
    return [
      { name: `${module}.lora_A.weight`, shape: [rank, columns] },
      { name: `${module}.lora_B.weight`, shape: [rows, rank] },
    ];
  });
}
