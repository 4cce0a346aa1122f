// One rollout on the screen while it is sampled: the policy's text coloured by the tag around it,
// what tools answered, a line for each call, and at the end why it ended and the answer. Or the
// same as JSON lines. Where there is no colour, "> " begins the lines of a tool, as in other
// screens. Not sampling: rollout/rollout.ts.

import type { Observation } from "../../rollout/observation-layout.ts";
import type { RolloutWatch } from "../../rollout/rollout.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { TagProfile } from "../../reward/tags.ts";
import { TextStream } from "../../serve/policy/text-stream.ts";
import type { FinishReason, ToolCall } from "../../types.ts";
import { snakeKeys } from "./json.ts";
import type { Output } from "./people.ts";
import { harmless, type Ink, plainStyle, plural, share } from "./style.ts";
import { type TagKind, TagSpans } from "./tag-spans.ts";

export interface AskStart {
  /** "runs/nano-seed1@stage3". */
  readonly policy: string;
  readonly step: number;
  readonly shots: number;
  readonly question: string;
  readonly tools: readonly string[];
  readonly temperature: number;
  readonly seed: number;
}
export interface AskEnd {
  readonly finish: FinishReason;
  readonly answer: string | undefined;
  readonly turns: number;
  readonly toolCalls: number;
  readonly promptTokens: number;
  readonly sampledTokens: number;
  readonly observationTokens: number;
  /** Of all, tools included; and of sampling alone. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
}
export interface AskScreen {
  onStart(start: AskStart): void;
  onText(kind: TagKind | "observation", text: string): void;
  onCall(call: ToolCall): void;
  onEnd(end: AskEnd): void;
}

/** Turns tokens into text for a screen: whole characters, by tag. */
export class AskWatch implements RolloutWatch {
  private text = new TextStream([]);
  private readonly spans: TagSpans;

  constructor(
    private readonly screen: AskScreen,
    private readonly tokenizer: Tokenizer,
    tags: TagProfile,
  ) {
    this.spans = new TagSpans(tags);
  }

  onToken(id: number): void {
    const { tokenizer } = this;
    if (tokenizer.eosIds.includes(id) || id >= tokenizer.vocabSize) return;
    this.show(this.spans.push(this.text.push(tokenizer.tokenBytes(id))));
  }

  onCalls(calls: readonly ToolCall[], observation: Observation | undefined): void {
    this.endTurn();
    for (const call of calls) this.screen.onCall(call);
    if (observation !== undefined) this.screen.onText("observation", observation.text);
  }

  /** Shows what was held back. */
  endTurn(): void {
    this.show(this.spans.push(this.text.end()));
    this.show(this.spans.end());
    this.text = new TextStream([]);
  }

  private show(spans: ReturnType<TagSpans["push"]>): void {
    for (const { kind, text } of spans) this.screen.onText(kind, text);
  }
}

export function jsonAsk(write: (line: string) => void): AskScreen {
  const line = (type: string, value: object): void =>
    write(`${JSON.stringify({ type, ...(snakeKeys(value) as object) })}\n`);
  return {
    onStart: (start) => line("start", start),
    onText: (kind, text) => line("text", { kind, text }),
    onCall: ({ result, ...call }) => line("tool", { ...call, ...result }),
    onEnd: (end) => line("end", { ...end, answer: end.answer ?? null }),
  };
}

const INKS: Readonly<Record<TagKind, Ink | undefined>> = {
  text: undefined,
  thought: "thought",
  call: "call",
  answer: "answer",
};

export function peopleAsk({ write, style }: Pick<Output, "write" | "style">): AskScreen {
  let lineEnds = 1; // at the end of what is written
  /** After the line of a call, so that the line end before it is one too many. */
  const observed = (text: string): string => {
    const block = text.replace(/^\n/, "");
    if (style === plainStyle) return block.replaceAll(/^(?=[^\n])/gm, "> ");
    return painted(block, (part) => style(part, "observation"));
  };
  const print = (text: string): void => {
    const own = /\n*$/.exec(text)![0].length;
    lineEnds = own === text.length ? lineEnds + own : own;
    write(text);
  };
  const line = (text: string, before = 1): void =>
    print(`${"\n".repeat(Math.max(0, before - lineEnds))}${text}\n`);
  return {
    onStart: (start) => line(startLine(start)),
    onText(kind, text) {
      if (kind === "observation") return print(observed(harmless(text)));
      const ink = INKS[kind];
      const shown = harmless(text);
      const all = ink === undefined ? shown : painted(shown, (part) => style(part, ink));
      if (all !== "") print(all);
    },
    onCall: (call) => line(callLine(call)),
    onEnd(end) {
      line(endLine(end), 2);
      line(harmless(end.answer ?? "no answer").replaceAll("\n", " "));
    },
  };
}

/** Each line by itself: a terminal that wraps or scrolls keeps no colour open. */
const painted = (text: string, paint: (part: string) => string): string =>
  text.split("\n").map(paint).join("\n");

function startLine({ policy, step, shots, tools }: AskStart): string {
  const demonstrations = shots === 0 ? "no demonstrations" : plural(shots, "demonstration");
  const trained = step === 0 ? policy : `${policy} (step ${step})`;
  return `${trained}, ${demonstrations}, tools: ${tools.join(", ")}`;
}

/** "search: 3.2 ms", "search failed after 5000 ms, 3 attempts: timeout, no answer". */
function callLine({ tool, result, latencyMs, attempts }: ToolCall): string {
  const ms = `${latencyMs.toFixed(latencyMs < 100 ? 1 : 0)} ms`;
  const tries = attempts > 1 ? `, ${attempts} attempts` : "";
  if (result.ok) return `${tool}: ${ms}${tries}`;
  const why = harmless(`${result.reason}, ${result.detail}`).replaceAll("\n", " ");
  return `${tool} failed after ${ms}${tries}: ${why}`;
}

function endLine({
  finish,
  turns,
  toolCalls,
  sampledTokens,
  seconds,
  tokensPerSecond,
}: AskEnd): string {
  const done = `${plural(turns, "turn")}, ${plural(toolCalls, "tool call")}`;
  const speed = `${share(tokensPerSecond, 0)} tokens/s`;
  const tokens = `${plural(sampledTokens, "token")} in ${share(seconds)} s, ${speed}`;
  return `ended by ${finish}: ${done}, ${tokens}`;
}
