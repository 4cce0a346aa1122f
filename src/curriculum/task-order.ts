// Which tasks a step asks: each epoch is its own shuffle, a function of seed and epoch alone, so
// the whole state is the number of tasks drawn. Not the tasks themselves: it deals indices.

import { Random } from "../data/random.ts";

export interface TaskOrderState {
  readonly drawn: number;
}

export class TaskOrder {
  private epoch = -1;
  private shuffled: readonly number[] = [];

  constructor(
    private readonly numTasks: number,
    private readonly seed: number,
    private drawn = 0,
  ) {
    if (numTasks === 0) throw new Error("an order of no tasks");
  }

  static restore(numTasks: number, seed: number, { drawn }: TaskOrderState): TaskOrder {
    return new TaskOrder(numTasks, seed, drawn);
  }

  save(): TaskOrderState {
    return { drawn: this.drawn };
  }

  /** The next `count` task indices. */
  next(count: number): number[] {
    return Array.from({ length: count }, () => this.at(this.drawn++));
  }

  private at(position: number): number {
    const epoch = Math.floor(position / this.numTasks);
    if (epoch !== this.epoch) {
      const indices = Array.from({ length: this.numTasks }, (_, index) => index);
      this.shuffled = new Random(this.seed, `task order, epoch ${epoch}`).shuffle(indices);
      this.epoch = epoch;
    }
    return this.shuffled[position % this.numTasks]!;
  }
}
