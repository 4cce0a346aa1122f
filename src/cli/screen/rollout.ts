// A rollout as text for people: coloured by who wrote each token, wrapped to a width, two of them
// side by side. Pure. Where there is no colour, a gutter says who wrote a line: "#" the prompt, ">"
// a tool, nothing the policy.

import { Role } from "../../types.ts";
import type { Rollout, Sample } from "../../types.ts";
import type { EvaluatedSamples, ShownSamples } from "./state.ts";
import { cells, harmless, padEnd, plainStyle, share } from "./style.ts";
import type { Ink, Style } from "./style.ts";
import { shotsText } from "./lines.ts";

export type Decode = (ids: readonly number[]) => string;
export interface Span {
  readonly role: Role;
  readonly text: string;
}

const INKS: readonly Ink[] = ["prompt", "policy", "observation"];
const GUTTERS: readonly string[] = ["# ", "  ", "> "];

/** The rollout's text from the token at `from`, split where the writer changes. */
export function spansOf(rollout: Rollout, decode: Decode, from: number): Span[] {
  const { tokens_L, roles_L } = rollout;
  const spans: Span[] = [];
  for (let start = from, end = from; start < tokens_L.length; start = end) {
    while (end < tokens_L.length && roles_L[end] === roles_L[start]) end++;
    spans.push({
      role: roles_L[start] as Role,
      text: harmless(decode([...tokens_L.subarray(start, end)])),
    });
  }
  return spans;
}

/** Lines of at most `width` cells. Broken at spaces where there is one, and at line ends. */
export function wrapSpans(spans: readonly Span[], width: number, style: Style): string[] {
  const wrapped = new Wrapped(width, style);
  for (const { role, text } of spans) {
    wrapped.turnTo(role);
    for (const word of text.split(/(\n)|(?<=\s)(?=\S)/).filter((part) => part)) {
      if (word === "\n") wrapped.endLine();
      else wrapped.add(word);
    }
  }
  return wrapped.finish();
}

class Wrapped {
  readonly #style: Style;
  readonly #room: number;
  readonly #gutter: boolean;
  readonly #lines: string[] = [];
  #line: Span[] = [];
  #role: Role = Role.policy;

  constructor(width: number, style: Style) {
    this.#style = style;
    this.#gutter = style === plainStyle;
    this.#room = width - (this.#gutter ? 2 : 0);
  }

  turnTo(role: Role): void {
    if (this.#gutter && this.#line.length > 0 && role !== this.#role) this.endLine();
    this.#role = role;
  }

  add(word: string): void {
    for (const text of pieces(word, this.#room)) {
      if (this.#used() > 0 && this.#used() + cells(text.trimEnd()) > this.#room) this.endLine();
      this.#line.push({ role: this.#role, text });
    }
  }

  endLine(): void {
    const last = this.#line.length - 1;
    const trimmed = this.#line.map((span, i) =>
      i === last ? { ...span, text: span.text.trimEnd() } : span,
    );
    const text = trimmed.map((span) => this.#style(span.text, INKS[span.role]!)).join("");
    this.#lines.push(((this.#gutter ? GUTTERS[this.#role]! : "") + text).trimEnd());
    this.#line = [];
  }

  finish(): string[] {
    if (this.#line.length > 0) this.endLine();
    return this.#lines;
  }

  #used(): number {
    return this.#line.reduce((sum, { text }) => sum + cells(text), 0);
  }
}

/** A word cut into parts that fit a line. */
function pieces(word: string, room: number): string[] {
  const parts: string[] = [];
  let part = "";
  for (const character of word) {
    if (part !== "" && cells((part + character).trimEnd()) > room) {
      parts.push(part);
      part = "";
    }
    part += character;
  }
  return [...parts, part];
}

/** One rollout, prompt included; of a long prompt only its first and last lines. */
export function rolloutLines(
  rollout: Rollout,
  decode: Decode,
  width: number,
  style: Style,
): string[] {
  const lines = wrapSpans(spansOf(rollout, decode, 0), width, style);
  const response = wrapSpans(spansOf(rollout, decode, rollout.promptTokens), width, style);
  const numPrompt = Math.max(0, lines.length - response.length);
  if (numPrompt <= 24) return lines;
  const omitted = style(`... ${numPrompt - 20} lines of the prompt ...`, "faint");
  return [...lines.slice(0, 10), omitted, ...lines.slice(numPrompt - 10)];
}

/** The rollout and what it earned. */
export function sampleLines(
  { rollout, reward }: Sample,
  decode: Decode,
  width: number,
  style: Style,
): string[] {
  const verdict = `reward ${share(reward.total)}, ended by ${rollout.finish}`;
  return [...rolloutLines(rollout, decode, width, style), style(verdict, "faint")];
}

/**
 * The same question before and after training, in two columns of `width` in all. Empty when there
 * is nothing to compare.
 */
export function sideBySideLines(
  shown: ShownSamples,
  decode: Decode,
  width: number,
  style: Style,
): string[] {
  const { before, after } = shown;
  if (before === undefined || after === undefined) return [];
  const pair = tellingPair(before.samples, after.samples);
  if (pair === undefined) return [];
  const columnWidth = Math.floor((width - 3) / 2);
  const left = column(before, pair[0], decode, columnWidth, style);
  const right = column(after, pair[1], decode, columnWidth, style);
  const { task } = pair[0].rollout;
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, i) =>
    `${padEnd(left[i] ?? "", columnWidth)} │ ${right[i] ?? ""}`.trimEnd(),
  );
  const question = wrapSpans(
    [{ role: Role.policy, text: `${task.question}  (${task.golds[0]})` }],
    width,
    bare,
  );
  return [...question.map((line) => style(harmless(line), "strong")), ...rows];
}

/** Paints nothing, and unlike `plainStyle` asks for no gutter. */
const bare: Style = (text) => text;

function column(
  of: EvaluatedSamples,
  sample: Sample,
  decode: Decode,
  width: number,
  style: Style,
): string[] {
  const { evaluation } = of;
  const { rollout, reward } = sample;
  const when = evaluation.stage === "base" ? "before" : `after ${evaluation.stage}`;
  const title = wrapSpans(
    [{ role: Role.policy, text: `${when}, ${shotsText(evaluation.shots)}` }],
    width,
    bare,
  );
  return [
    ...title.map((line) => style(line, "strong")),
    ...wrapSpans(spansOf(rollout, decode, rollout.promptTokens), width, style),
    style(`reward ${share(reward.total)}`, reward.total > 0.5 ? "good" : "bad"),
  ];
}

/**
 * The question that shows most: the gain in reward first, then the tool calls after training, then
 * the order.
 */
function tellingPair(
  before: readonly Sample[],
  after: readonly Sample[],
): readonly [Sample, Sample] | undefined {
  const first = new Map(before.map((sample) => [sample.rollout.task.id, sample] as const));
  const pairs = after.flatMap((sample) => {
    const other = first.get(sample.rollout.task.id);
    return other === undefined ? [] : [[other, sample] as const];
  });
  return pairs
    .toSorted((a, b) => calls(b[1]) - calls(a[1]))
    .toSorted((a, b) => Math.round(10 * (gain(b) - gain(a))))[0];
}

const gain = ([before, after]: readonly [Sample, Sample]): number =>
  after.reward.total - before.reward.total;

const calls = (sample: Sample): number =>
  sample.rollout.turns.reduce((sum, { toolCalls }) => sum + toolCalls.length, 0);
