// The tools of a run, called by name: order of the recipe, places, deadlines, retries and breakers,
// and the figures of all calls. A call never throws. Not here: a single attempt (tool.ts), or how
// tools are opened from a recipe (train/open-tool.ts).

import type { ToolCall } from "../types.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { Random } from "../data/random.ts";
import { Limiter } from "./limiter.ts";
import { callTool, type CallPolicy, type Clock, refusedCall, systemClock } from "./tool.ts";
import type { CallSurroundings, Tool } from "./tool.ts";

/** How a tool is called. */
export interface ToolLimits {
  readonly policy: CallPolicy;
  readonly concurrency: number;
  readonly breaker: BreakerOptions;
  readonly maxObservationTokens: number;
}

export interface ToolboxEntry {
  readonly tool: Tool;
  readonly limits: ToolLimits;
  /** The word of its tags. */
  readonly tag: string;
}

export interface ToolboxOptions {
  readonly clock?: Clock;
  /** Of the pauses before retries. */
  readonly seed?: number;
}

export class Toolbox implements AsyncDisposable {
  private readonly seats: ReadonlyMap<string, Seat>;

  /** Tools of different names, at least one. The toolbox closes them. */
  constructor(
    private readonly entries: readonly ToolboxEntry[],
    { clock = systemClock, seed = 0 }: ToolboxOptions = {},
  ) {
    if (entries.length === 0) throw new RangeError("a toolbox has at least one tool");
    const random = new Random(seed, "pauses of tools");
    const jitter = (): number => 0.75 + random.float() / 2;
    const seats = entries.map((entry) => new Seat(entry, clock, jitter));
    this.seats = new Map(seats.map((seat) => [seat.entry.tool.name, seat]));
    if (this.seats.size < entries.length) throw new Error("two tools have the same name");
  }

  /** In the recipe's order. */
  get tools(): readonly Tool[] {
    return this.entries.map(({ tool }) => tool);
  }

  /** Names and the words of their tags, as tag profiles take them. */
  get tags(): readonly { readonly name: string; readonly tag: string }[] {
    return this.entries.map(({ tool, tag }) => ({ name: tool.name, tag }));
  }

  /** Never throws. `latencyMs` is what the caller waited. */
  async call(name: string, input: string): Promise<ToolCall> {
    const seat = this.seats.get(name);
    if (seat !== undefined) return seat.call(input);
    const known = [...this.seats.keys()].join(", ");
    return refusedCall(name, input, "unknown_tool", `known: ${known}`);
  }

  /** Tokens that an observation of this tool may have. */
  maxObservationTokens(name: string): number {
    const seat = this.seats.get(name);
    const all = this.entries.map(({ limits }) => limits.maxObservationTokens);
    return seat?.entry.limits.maxObservationTokens ?? Math.max(...all);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.tools.map((tool) => tool[Symbol.asyncDispose]?.()));
  }
}

/** One tool at work. */
class Seat {
  private readonly limiter: Limiter;
  private readonly around: CallSurroundings;

  constructor(
    readonly entry: ToolboxEntry,
    private readonly clock: Clock,
    jitter: () => number,
  ) {
    this.limiter = new Limiter(entry.limits.concurrency);
    this.around = { clock, jitter, breaker: new Breaker(entry.limits.breaker) };
  }

  async call(input: string): Promise<ToolCall> {
    const start = this.clock.now();
    const { tool, limits } = this.entry;
    const call = await this.limiter.run(() => callTool(tool, input, limits.policy, this.around));
    return { ...call, latencyMs: this.clock.now() - start };
  }
}
