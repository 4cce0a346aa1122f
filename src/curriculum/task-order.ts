// Which tasks a step asks. The tasks come in parts, one a data source: each draw is from the part
// that is furthest behind its share, and each pass through a part is its own shuffle, a function of
// seed, part and pass alone. So the whole state is the number of tasks drawn. Not the tasks
// themselves: it deals indices into the list of all.

import { UserError } from "../config/errors.ts";
import { Random } from "../data/random.ts";

/** Tasks that lie next to each other; `weight` over the sum of weights is their share. */
export interface TaskPart {
  readonly size: number;
  readonly weight: number;
  /** Differs where the tasks do. */
  readonly key: string;
}
export interface TaskOrderState {
  readonly drawn: number;
  /** Of the parts: other tasks would make another order. */
  readonly sizes: readonly number[];
  readonly keys: readonly string[];
}

export class TaskOrder {
  private readonly decks: readonly Deck[];
  private drawn = 0;

  constructor(
    private readonly parts: readonly TaskPart[],
    seed: number,
  ) {
    if (parts.length === 0 || parts.some(({ size }) => size === 0)) {
      throw new Error("an order of no tasks");
    }
    let first = 0;
    this.decks = parts.map((part, index) => {
      const deck = new Deck(first, part.size, seed, index);
      first += part.size;
      return deck;
    });
  }

  /** Throws UserError when the tasks are not those of the saved order. */
  static restore(parts: readonly TaskPart[], seed: number, state: TaskOrderState): TaskOrder {
    const order = new TaskOrder(parts, seed);
    const { sizes, keys } = order.save();
    const isSame = Bun.deepEquals({ sizes, keys }, { sizes: state.sizes, keys: state.keys });
    if (!isSame) throw otherTasks(sizes, state.sizes);
    order.next(state.drawn);
    return order;
  }

  save(): TaskOrderState {
    const { drawn, parts } = this;
    return { drawn, sizes: parts.map(({ size }) => size), keys: parts.map(({ key }) => key) };
  }

  /** The next `count` task indices. */
  next(count: number): number[] {
    return Array.from({ length: count }, () => {
      this.drawn++;
      return this.furthestBehind().draw();
    });
  }

  /** The part that lacks most of its share of the draws, this one included. */
  private furthestBehind(): Deck {
    const total = this.parts.reduce((sum, { weight }) => sum + weight, 0);
    let [best, lack] = [0, -Infinity];
    this.parts.forEach(({ weight }, index) => {
      const lacks = (this.drawn * weight) / total - this.decks[index]!.drawn;
      if (lacks > lack) [best, lack] = [index, lacks];
    });
    return this.decks[best]!;
  }
}

function otherTasks(now: readonly number[], before: readonly number[]): UserError {
  const isOtherSize = !Bun.deepEquals(now, before);
  const what = isOtherSize
    ? `the data has ${now.join(" + ")} questions, and had ${before.join(" + ")}`
    : "the data has other questions than it had";
  return new UserError(what, { hint: "go on with the data that the run began with" });
}

/** One part's indices, shuffled anew for each pass. */
class Deck {
  drawn = 0;
  private pass = -1;
  private shuffled: readonly number[] = [];

  constructor(
    private readonly first: number,
    private readonly size: number,
    private readonly seed: number,
    private readonly part: number,
  ) {}

  draw(): number {
    const pass = Math.floor(this.drawn / this.size);
    if (pass !== this.pass) {
      const indices = Array.from({ length: this.size }, (_, index) => this.first + index);
      const part = this.part === 0 ? "" : `, part ${this.part}`;
      this.shuffled = new Random(this.seed, `task order, epoch ${pass}${part}`).shuffle(indices);
      this.pass = pass;
    }
    return this.shuffled[this.drawn++ % this.size]!;
  }
}
