// What training adds to a policy: the optimizer and, for a KL term, the reference. It owns what is
// carried over a stage boundary and what is not (`carry`), and saves and restores the optimizer.

import type { Device } from "../../ffi/device.ts";
import type { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import type { Recipe } from "../config/recipe.ts";
import type { FolderSource } from "../model/byte-source.ts";
import { loadPolicy } from "../model/weights.ts";
import { trainerConfig } from "./objective-options.ts";
import type { UpdatePolicies } from "./update.ts";

export class Learner implements Disposable {
  private constructor(
    private readonly recipe: Recipe,
    private readonly policy: Policy,
    private current: Trainer,
    private readonly reference: Policy | undefined,
  ) {}

  /** `anchor`: the weights that the KL term holds on to, should there be one. */
  static open(recipe: Recipe, device: Device, policy: Policy, anchor: FolderSource): Learner {
    const trainer = Trainer.open(policy, trainerConfig(recipe.train));
    try {
      const wanted = recipe.train.objective.kl.coefficient > 0;
      const reference = wanted ? loadPolicy(device, anchor, recipe.policy.dtype) : undefined;
      return new Learner(recipe, policy, trainer, reference);
    } catch (error) {
      trainer[Symbol.dispose]();
      throw error;
    }
  }

  get trainer(): Trainer {
    return this.current;
  }

  get policies(): UpdatePolicies {
    return { trainer: this.current, reference: this.reference };
  }

  /** To be called between two stages, not within one and not before the first. */
  crossBoundary(): void {
    const { optimizer, reference } = this.recipe.carry;
    if (!optimizer) this.forgetOptimizer();
    if (!reference) this.reference?.copyFrom(this.policy);
  }

  private forgetOptimizer(): void {
    this.current[Symbol.dispose]();
    this.current = Trainer.open(this.policy, trainerConfig(this.recipe.train));
  }

  [Symbol.dispose](): void {
    this.current[Symbol.dispose]();
    this.reference?.[Symbol.dispose]();
  }
}
