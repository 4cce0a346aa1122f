// The tools of a run, called by name: recordings, places, deadlines, retries and breakers, and the
// figures of all calls. Not here: a single attempt (tool.ts), or how tools are
// opened from a recipe (train/open-tool.ts).

import { Random } from "../data/random.ts";
import type { ToolFigures } from "../run/metrics.ts";
import type { ToolCall } from "../types.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { Limiter } from "./limiter.ts";
import { Meter, type MeterMark } from "./meter.ts";
import type { Memory } from "./recorded.ts";
import type { AnswerKey, Recording } from "./recording.ts";
import {
  callTool,
  InvalidCallError,
  refusedCall,
  systemClock,
  type CallPolicy,
  type CallSurroundings,
  type Clock,
  type Tool,
} from "./tool.ts";

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
  /** Absent: every call is made. */
  readonly memory?: Memory | undefined;
}

export interface ToolboxOptions {
  readonly clock?: Clock;
  /** Of the pauses before retries. */
  readonly seed?: number;
  /** The recording that goes into the run's folder once there is one. */
  readonly recording?: Recording;
}

/** All tools' figures at some moment. */
export type ToolboxMark = ReadonlyMap<string, MeterMark>;

export class Toolbox implements AsyncDisposable {
  private readonly seats: ReadonlyMap<string, Seat>;

  /** Tools of different names, at least one. The toolbox closes them and their recordings. */
  constructor(
    private readonly entries: readonly ToolboxEntry[],
    private readonly options: ToolboxOptions = {},
  ) {
    if (entries.length === 0) throw new RangeError("a toolbox has at least one tool");
    const { clock = systemClock, seed = 0 } = options;
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

  /** Throws only where a recording can't be written. `latencyMs` is what the caller waited. */
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

  mark(): ToolboxMark {
    return new Map([...this.seats].map(([name, seat]) => [name, seat.meter.mark()]));
  }

  /** Of all calls, or of those since a mark; in the recipe's order. */
  figures(since?: ToolboxMark): readonly ToolFigures[] {
    return [...this.seats].map(([name, { meter, breaker }]) =>
      meter.figures(breaker.state, since?.get(name)),
    );
  }

  /** What a person should know and was not told yet; each kind once a tool. */
  warnings(): readonly string[] {
    return [...this.seats.values()].flatMap((seat) => seat.warning() ?? []);
  }

  /** The run's answers go to this file from now on, where its tools are recorded. */
  recordIn(path: string): void {
    const { recording } = this.options;
    const isUsed = this.entries.some(({ memory }) => memory?.recording === recording);
    if (recording !== undefined && isUsed) recording.moveTo(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.tools.map((tool) => tool[Symbol.asyncDispose]?.()));
    const recordings = this.entries.map(({ memory }) => memory?.recording);
    for (const each of new Set([...recordings, this.options.recording])) each?.[Symbol.dispose]();
  }
}

/** One tool at work. */
class Seat {
  readonly meter: Meter;
  readonly breaker: Breaker;
  private readonly limiter: Limiter;
  private readonly around: CallSurroundings;
  /** Calls being made, so that an answer is asked for once. */
  private readonly pending = new Map<string, Promise<ToolCall>>();
  private warned = false;
  private lastFailure = "";

  constructor(
    readonly entry: ToolboxEntry,
    private readonly clock: Clock,
    jitter: () => number,
  ) {
    this.meter = new Meter(entry.tool.name);
    this.breaker = new Breaker(entry.limits.breaker);
    this.limiter = new Limiter(entry.limits.concurrency);
    this.around = { clock, jitter, breaker: this.breaker };
  }

  async call(input: string): Promise<ToolCall> {
    const start = this.clock.now();
    const { call, recorded } = await this.answer(input);
    const waited = { ...call, input, latencyMs: this.clock.now() - start };
    this.meter.add(waited, recorded);
    return waited;
  }

  warning(): string | undefined {
    if (this.breaker.openings === 0 || this.warned) return undefined;
    this.warned = true;
    const { tool, limits } = this.entry;
    const { failures, cooldownMs } = limits.breaker;
    const what = `tool ${tool.name} failed ${failures} times in a row and is not asked for a while`;
    return `${what}, then once every ${cooldownMs / 1000} s: ${this.lastFailure}`;
  }

  private async answer(input: string): Promise<Answer> {
    const { memory, tool } = this.entry;
    if (memory === undefined) return { call: await this.make(input), recorded: false };
    const key = keyOrRefusal(memory, tool.name, input);
    if ("result" in key) return { call: key, recorded: false };
    const kept = memory.recording.find(key);
    if (kept !== undefined) return notAsked(tool.name, { ok: true, ...kept });
    if (memory.mode === "replay") {
      const detail = `not in the recording ${memory.recording.path}: ${JSON.stringify(key.input)}`;
      return { call: refusedCall(tool.name, input, "unavailable", detail), recorded: false };
    }
    return this.share(key, memory, input);
  }

  /** The same question again waits for the answer to the first. */
  private async share(key: AnswerKey, { recording }: Memory, input: string): Promise<Answer> {
    const { tool } = this.entry;
    const first = this.pending.get(key.input);
    if (first !== undefined) return notAsked(tool.name, (await first).result);
    const made = this.make(input);
    this.pending.set(key.input, made);
    try {
      const call = await made;
      if (call.result.ok) recording.keep(key, call.result);
      return { call, recorded: false };
    } finally {
      this.pending.delete(key.input);
    }
  }

  private async make(input: string): Promise<ToolCall> {
    const { tool, limits } = this.entry;
    const make = () => callTool(tool, input, limits.policy, this.around);
    const call = await this.limiter.run(make);
    const { result } = call;
    if (!result.ok && result.reason !== "unavailable") this.lastFailure = result.detail;
    return call;
  }
}

interface Answer {
  readonly call: ToolCall;
  readonly recorded: boolean;
}

/** Of a call for which the tool had nothing to do. */
function notAsked(tool: string, result: ToolCall["result"]): Answer {
  return { call: { tool, input: "", result, latencyMs: 0, attempts: 0 }, recorded: true };
}

function keyOrRefusal(memory: Memory, tool: string, input: string): AnswerKey | ToolCall {
  try {
    return memory.keyOf(input);
  } catch (error) {
    if (error instanceof InvalidCallError) {
      return refusedCall(tool, input, "invalid_call", error.message);
    }
    throw error;
  }
}
