// What a recipe needs to roll out: the policy with its cache and engine, its tokenizer, the world
// and its tool. Opened and closed together. It does not train: that is learner.ts.

import type { Device } from "../../ffi/device.ts";
import type { Policy } from "../../ffi/policy.ts";
import type { Recipe } from "../config/recipe.ts";
import { chooseDemonstrations, demonstrationsForShots } from "../curriculum/demonstrations.ts";
import type { FolderSource } from "../model/byte-source.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { RolloutEngine } from "../rollout/engine.ts";
import type { RolloutLimits, RolloutSettings } from "../rollout/rollout.ts";
import type { PromptTemplate } from "../rollout/template.ts";
import type { Demonstration } from "../types.ts";
import { fittingWorld } from "./fit.ts";
import { openPolicy } from "./open-policy.ts";
import { type PromptModel, promptModel } from "./prompt-model.ts";
import { promptTemplate } from "./prompt-text.ts";
import type { Sampler } from "./sampling.ts";
import type { World } from "./world.ts";

export class Session implements Disposable {
  private constructor(
    readonly recipe: Recipe,
    readonly device: Device,
    readonly policy: Policy,
    readonly engine: RolloutEngine,
    readonly prompts: PromptModel,
    readonly world: World,
    private readonly owned: DisposableStack,
  ) {}

  /** `weights`: the model's folder, or a checkpoint of it. `world`: what the recipe's data say. */
  static open(recipe: Recipe, weights: FolderSource, world: World): Session {
    using stack = new DisposableStack();
    const opened = stack.use(openPolicy(recipe.policy, weights));
    const { device, policy, engine, tokenizer } = opened;
    const prompts = promptModel(weights, tokenizer, recipe, world.toolbox);
    const fitting = fittingWorld(recipe, world, prompts);
    const owned = stack.move();
    return new Session(recipe, device, policy, engine, prompts, fitting, owned);
  }

  get tokenizer(): Tokenizer {
    return this.prompts.tokenizer;
  }

  /** Samplers of different seeds never share noise. */
  sampler(temperature: number, seed: number): Sampler {
    const { scorer } = this.world;
    return { engine: this.engine, settings: this.settings(temperature, seed), scorer };
  }

  stageTemplate(stageIndex: number): PromptTemplate {
    const stage = this.recipe.stages[stageIndex]!;
    return this.template(chooseDemonstrations(stage, this.world.demonstrations));
  }

  /** As the stage with that many shots shows them. */
  shotsTemplate(shots: number): PromptTemplate {
    const { stages } = this.recipe;
    return this.template(demonstrationsForShots(shots, stages, this.world.demonstrations));
  }

  private template(demonstrations: readonly Demonstration[]): PromptTemplate {
    return promptTemplate(this.recipe, demonstrations, this.prompts);
  }

  settings(temperature: number, seed: number): RolloutSettings {
    const { tokenizer, tags, toolFrame } = this.prompts;
    return {
      tokenizer,
      tags,
      toolFrame,
      toolbox: this.world.toolbox,
      limits: limitsOf(this.recipe),
      stopTexts: this.recipe.rollout.stop,
      temperature,
      seed,
    };
  }

  [Symbol.dispose](): void {
    this.owned.dispose();
  }
}

function limitsOf({ rollout }: Recipe): RolloutLimits {
  return {
    maxCalls: rollout.max_calls,
    maxTurnTokens: rollout.max_turn_tokens,
    maxNewTokens: rollout.max_new_tokens,
    context: rollout.context,
  };
}
