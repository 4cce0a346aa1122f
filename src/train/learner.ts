// What training adds to a policy: the optimizer or adapters with theirs, and an anchor: the weights
// that a KL term holds on to and that adapters are a change of. It owns what is carried over a
// stage boundary and what is not (`carry`), and goes on from a checkpoint.

import type { Device } from "../../ffi/device.ts";
import type { Policy } from "../../ffi/policy.ts";
import { Trainer } from "../../ffi/trainer.ts";
import { movesAnchor, type Recipe } from "../config/recipe.ts";
import type { FolderSource } from "../model/byte-source.ts";
import { loadPolicy } from "../model/weights.ts";
import { restoreOptimizer, type Checkpoint } from "./checkpoint.ts";
import { trainerConfig } from "./objective-options.ts";
import type { UpdatePolicies } from "./update.ts";

export class Learner implements Disposable {
  private constructor(
    private readonly recipe: Recipe,
    private readonly policy: Policy,
    private current: Trainer,
    private readonly anchor: Policy | undefined,
  ) {}

  /**
   * `anchor`: the folder of its weights, should there be one. With adapters the policy becomes a
   * copy of it, until `restore`. `stage`: the index of the one that is running or next.
   */
  static open(
    recipe: Recipe,
    device: Device,
    policy: Policy,
    anchor: FolderSource,
    stage: number,
  ): Learner {
    using stack = new DisposableStack();
    const { dtype } = recipe.policy;
    const loaded = wantsAnchor(recipe) ? loadPolicy(device, anchor, dtype) : undefined;
    stack.use(loaded);
    const trainer = openTrainer(recipe, policy, loaded, stage);
    stack.move();
    return new Learner(recipe, policy, trainer, loaded);
  }

  get trainer(): Trainer {
    return this.current;
  }

  get policies(): UpdatePolicies {
    const hasKl = this.recipe.train.objective.kl.coefficient > 0;
    return { trainer: this.current, reference: hasKl ? this.anchor : undefined };
  }

  /** Adapters of a stage that has ended are merged into the anchor where that moves. */
  restore(checkpoint: Checkpoint): void {
    const { stageStep } = checkpoint.state.progress;
    if (stageStep === 0 && this.beginsAnew) return;
    restoreOptimizer(this.current, checkpoint);
  }

  /** To be called between two stages, not within one nor before the first. `stage`: the next. */
  crossBoundary(stage: number): void {
    if (movesAnchor(this.recipe)) this.anchor?.copyFrom(this.policy);
    if (!this.recipe.carry.optimizer) this.forgetOptimizer(stage);
  }

  private get beginsAnew(): boolean {
    return this.recipe.train.lora !== undefined && movesAnchor(this.recipe);
  }

  private forgetOptimizer(stage: number): void {
    const adapters = this.beginsAnew ? [] : adaptersOf(this.current);
    this.current[Symbol.dispose]();
    this.current = openTrainer(this.recipe, this.policy, this.anchor, stage);
    for (const [name, values] of adapters) this.current.writeTensor("master", name, values);
  }

  [Symbol.dispose](): void {
    this.current[Symbol.dispose]();
    this.anchor?.[Symbol.dispose]();
  }
}

const wantsAnchor = ({ train }: Recipe): boolean =>
  train.objective.kl.coefficient > 0 || train.lora !== undefined;

function openTrainer(
  recipe: Recipe,
  policy: Policy,
  anchor: Policy | undefined,
  stage: number,
): Trainer {
  const base = recipe.train.lora === undefined ? undefined : anchor;
  return Trainer.open(policy, trainerConfig(recipe, stage), base);
}

function adaptersOf(trainer: Trainer): (readonly [string, Float32Array])[] {
  if (trainer.base === undefined) return [];
  return trainer.tensors().map(({ name }) => [name, trainer.readTensor("master", name)] as const);
}
