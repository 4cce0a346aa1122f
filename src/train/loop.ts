// A run: evaluations before, stages of steps with a checkpoint and evaluations after each, gates
// between. The loop holds the state of the run and nothing else; what a step, an evaluation or a
// gate is stands in files of their own. It prints nothing: observers are told.

import { bytesText } from "../config/bytes.ts";
import type { Recipe } from "../config/recipe.ts";
import {
  afterLook,
  afterStage,
  afterStep,
  nextInStage,
  requireOpenGate,
  start,
  type Progress,
} from "../curriculum/progress.ts";
import { stageName, type StageRange } from "../curriculum/stages.ts";
import { TaskOrder } from "../curriculum/task-order.ts";
import type { FolderSource } from "../model/byte-source.ts";
import type { RunDirectory } from "../run/directory.ts";
import type { RunEnd, RunObserver } from "../run/observer.ts";
import { adaptersBase } from "./anchor.ts";
import { checkpointName, writeCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { requireContract } from "./contract-step.ts";
import { evaluate, evaluateHeldOut } from "./evaluate.ts";
import type { Learner } from "./learner.ts";
import { updateBudget, type UpdateBudget } from "./plan/budget.ts";
import type { Session } from "./session.ts";
import { takeStep } from "./step.ts";

export interface RunParts {
  readonly recipe: Recipe;
  readonly session: Session;
  readonly learner: Learner;
  readonly directory: RunDirectory;
  readonly observer: Required<RunObserver>;
  readonly model: FolderSource;
  /** Asked between steps and between evaluations. */
  readonly shouldStop: () => boolean;
}

/** Training never samples under this seed. */
const GATE_SEED = 0x5eed_9a7e;

/** What the loop says when it stops before the end because it was asked to. */
class Interrupted extends Error {}

export class TrainingLoop {
  private progress: Progress = start;
  private tasks: TaskOrder;
  private budget: UpdateBudget;
  private contractChecked = false;

  constructor(
    private readonly parts: RunParts,
    checkpoint?: Checkpoint,
  ) {
    const { recipe, session, learner } = parts;
    const { parts: taskParts } = session.world;
    const saved = checkpoint?.state.tasks;
    this.budget = updateBudget(recipe, session.device);
    this.tasks =
      saved === undefined
        ? new TaskOrder(taskParts, recipe.seed)
        : TaskOrder.restore(taskParts, recipe.seed, saved);
    if (checkpoint === undefined) return;
    this.progress = checkpoint.state.progress;
    learner.restore(checkpoint);
  }

  /**
   * Runs the stages. Interruption is an outcome; whatever else stops it is thrown after observers
   * were told.
   */
  async run(range: StageRange): Promise<RunEnd> {
    const clock = performance.now();
    const firstStep = this.progress.step;
    const end = (outcome: RunEnd["outcome"], reason?: string): RunEnd => {
      const wallSeconds = (performance.now() - clock) / 1000;
      const steps = this.progress.step - firstStep;
      const tools = this.parts.session.world.toolbox.figures();
      const why = reason === undefined ? {} : { reason };
      const ended = { outcome, steps, wallSeconds, tools, ...why };
      this.parts.observer.onEnd(ended);
      return ended;
    };
    try {
      await this.runStages(range);
      return end("finished");
    } catch (error) {
      if (error instanceof Interrupted) return end("interrupted", error.message);
      end("failed", (error as Error).message);
      throw error;
    }
  }

  private async runStages(range: StageRange): Promise<void> {
    const last = this.progress.stage === 0 ? "base" : stageName(this.progress.stage - 1);
    if (this.progress.stageStep === 0) await this.evaluateAll(last);
    while (this.progress.stage <= range.last) await this.runStage();
  }

  private async runStage(): Promise<void> {
    const { recipe, observer } = this.parts;
    const { stage, stageStep } = this.progress;
    requireOpenGate(this.progress, recipe.stages);
    if (stage > 0 && stageStep === 0) this.crossBoundary(stage);
    const { shots, steps } = recipe.stages[stage]!;
    observer.onStageStart({ name: stageName(stage), shots, steps });
    for (;;) {
      const next = nextInStage(this.progress, recipe.stages);
      if (next.kind === "step") await this.step();
      else if (next.kind === "look") await this.look(next.gate);
      else return this.endStage(next.outcome);
    }
  }

  /** As it is for a command that begins here: nothing is cached from the evaluations before. */
  private crossBoundary(stage: number): void {
    const { learner, session } = this.parts;
    learner.crossBoundary(stage);
    session.engine.forget();
  }

  private async step(): Promise<void> {
    const { recipe, session, learner, directory, observer } = this.parts;
    this.stopIfAsked();
    const indices = this.tasks.next(recipe.rollout.prompts_per_step);
    const outcome = await takeStep({
      recipe,
      sampler: session.sampler(recipe.rollout.temperature, recipe.seed),
      policies: learner.policies,
      template: session.stageTemplate(this.progress.stage),
      tasks: indices.map((index) => session.world.train[index]!),
      progress: this.progress,
      budget: this.budget,
      inspect: this.contractChecked ? undefined : (sampled) => this.checkContract(sampled),
    });
    this.noteBudget(outcome.budget);
    directory.store.writeStep({ metrics: outcome.metrics, samples: outcome.trained });
    this.progress = afterStep(this.progress);
    observer.onStep(outcome.metrics);
    this.tellOfTools();
  }

  private checkContract(sampled: Parameters<typeof requireContract>[0]): void {
    const { session, observer } = this.parts;
    requireContract(sampled, session.tokenizer.eosIds, this.budget.maxBatchTokens);
    this.contractChecked = true;
    observer.onSample("contract check passed", sampled.groups[0]!.samples[0]!);
  }

  private noteBudget(budget: UpdateBudget): void {
    const { memoryBytes = Infinity } = budget;
    if (memoryBytes === this.budget.memoryBytes) return;
    this.budget = budget;
    const text = `memory ran out: updates now take at most ${bytesText(memoryBytes)}`;
    this.parts.observer.onMessage({ level: "warning", text });
  }

  /**
   * Measures the next stage's gate on training questions, so that the held-out ones decide nothing.
   */
  private async look(gate: { zero_shot_em: number; questions: number }): Promise<void> {
    const { recipe, session, observer, directory } = this.parts;
    this.stopIfAsked();
    const { evaluation } = await evaluate(session.sampler(recipe.rollout.temperature, GATE_SEED), {
      stage: stageName(this.progress.stage),
      step: this.progress.step,
      shots: 0,
      tasks: session.world.train.slice(-gate.questions),
      template: session.shotsTemplate(0),
    });
    this.progress = afterLook(this.progress, evaluation.em);
    const next = stageName(this.progress.stage + 1);
    const verdict = evaluation.em >= gate.zero_shot_em ? "open" : "closed";
    const text =
      `gate of ${next}: EM without demonstrations ${evaluation.em.toFixed(3)} on training ` +
      `questions, wanted ${gate.zero_shot_em}: ${verdict}`;
    const data = { em: evaluation.em, wanted: gate.zero_shot_em, verdict };
    directory.store.writeEvent({ kind: "gate", step: this.progress.step, text, data });
    observer.onMessage({ level: verdict === "open" ? "info" : "warning", text });
  }

  private async endStage(outcome: "open" | "given_up"): Promise<void> {
    const ended = stageName(this.progress.stage);
    this.progress = afterStage(this.progress, outcome);
    this.checkpoint();
    await this.evaluateAll(ended);
  }

  private checkpoint(): void {
    const { recipe, session, learner, directory, model } = this.parts;
    const { policy } = session;
    const { trainer } = learner;
    const tasks = this.tasks.save();
    const state = { progress: this.progress, tasks, optimizerSteps: trainer.steps };
    const name = checkpointName(this.progress);
    const base = adaptersBase(recipe, directory.path, this.progress);
    if (directory.checkpoints().includes(name)) return; // stopped again before another step
    directory.writeCheckpoint(name, (folder) =>
      writeCheckpoint(folder, { policy, trainer, state, model, base }),
    );
    const text = `checkpoint ${name}`;
    directory.store.writeEvent({ kind: "checkpoint", step: this.progress.step, text });
  }

  /** At every number of shots; what the run has already measured is not measured again. */
  private async evaluateAll(stage: string): Promise<void> {
    const done = this.parts.directory.store.evaluations().filter((each) => each.stage === stage);
    for (const shots of this.parts.recipe.eval.shots) {
      if (done.some((each) => each.shots === shots)) continue;
      this.stopIfAsked();
      await this.evaluateAt(stage, shots);
    }
  }

  private async evaluateAt(stage: string, shots: number): Promise<void> {
    const { session, directory, observer } = this.parts;
    const numSamples = Math.min(session.recipe.eval.limit, session.world.validation.length);
    observer.onEvalStart({ stage, shots, numSamples });
    const { step } = this.progress;
    const { evaluation, samples } = await evaluateHeldOut(session, { stage, step, shots });
    directory.store.writeEvaluation(evaluation, samples);
    observer.onEval(evaluation, samples);
    this.tellOfTools();
  }

  private tellOfTools(): void {
    const { session, observer } = this.parts;
    const texts = session.world.toolbox.warnings();
    texts.forEach((text) => observer.onMessage({ level: "warning", text }));
  }

  /** Within a stage a checkpoint is written first; between stages there is one already. */
  private stopIfAsked(): void {
    if (!this.parts.shouldStop()) return;
    const { stage, stageStep } = this.progress;
    if (stageStep > 0) this.checkpoint();
    const where =
      stageStep > 0 ? `in ${stageName(stage)}, after step ${stageStep}` : "between stages";
    throw new Interrupted(`stopped ${where}`);
  }
}
