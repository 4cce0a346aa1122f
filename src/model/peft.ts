// Adapters as a folder that PEFT loads as it is: adapter_config.json and
// adapter_model.safetensors. Not the model that they are for, which the config names.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoraConfig } from "../../ffi/lora.ts";
import type { Trainer } from "../../ffi/trainer.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.ts";

export const ADAPTER_CONFIG = "adapter_config.json";
export const ADAPTER_WEIGHTS = "adapter_model.safetensors";

/** PEFT's name of an adapter's tensor: it wraps the model twice. */
export const peftName = (name: string): string => `base_model.model.${name}`;

/** `base`: the model that they change, a folder or a name. In fp32. */
export function writeAdapter(folder: string, trainer: Trainer, base: string): void {
  const { lora } = trainer.config;
  if (lora === undefined) throw new Error("a trainer without adapters");
  const config = `${JSON.stringify(adapterConfig(lora, base), null, 2)}\n`;
  const tensors = trainer.tensors().map(
    ({ name, shape }): TensorToWrite => ({
      name: peftName(name),
      dtype: "F32",
      shape,
      bytes: () => new Uint8Array(trainer.readTensor("master", name).buffer),
    }),
  );
  writeAdapterFiles(folder, new TextEncoder().encode(config), tensors);
}

/** `config`: the text of adapter_config.json. */
export function writeAdapterFiles(
  folder: string,
  config: Uint8Array,
  tensors: readonly TensorToWrite[],
): void {
  writeFileSync(join(folder, ADAPTER_CONFIG), config, { flush: true });
  writeSafetensors(join(folder, ADAPTER_WEIGHTS), tensors);
}

function adapterConfig({ rank, alpha, targets }: LoraConfig, base: string) {
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: alpha,
    target_modules: targets,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
  };
}
