// The prompt, as text and as runs of tokens: instruction, one format line a tag, demonstrations,
// the sentence that hands over, the question. It is two runs, [all but the question, the question],
// encoded apart at a line's end, so the first run is the same for every question: that is what the
// KV cache and the training trie share. Not here: the texts themselves (recipe).

import type { Demonstration, DemonstrationTurn } from "../types.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { TagPair, TagProfile } from "../reward/tags.ts";

/** What a prompt says around the examples. Lines, without line ends; an empty one is left out. */
export interface PromptText {
  readonly instruction: string;
  /** A reminder for each tag; `{open}` and `{close}` stand for the tags. */
  readonly format: Readonly<Record<"think" | "call" | "observation" | "answer", string>>;
  /** Before the first example; left out without examples. */
  readonly examples: string;
  /** Between the examples and the actual question. */
  readonly handOver: string;
  /** Before each question: "Question: ". */
  readonly question: string;
}

export const DEFAULT_PROMPT_TEXT: PromptText = {
  instruction:
    "Answer the question below. Reason first, each time you learn something new. When you lack a " +
    "fact, look it up with a search; its result is shown to you. Search as often as you need. As " +
    "soon as you know the answer, give it, short and without explanation.",
  format: {
    think: "Reasoning: {open} ... {close}",
    call: "Search: {open} a query {close}",
    observation: "The search result then appears as: {open} ... {close}",
    answer: "Final answer: {open} ... {close}",
  },
  examples: "These examples show how it is done:",
  handOver: "Now solve the actual problem.",
  question: "Question: ",
};

/** Tokens of a chat template around the one user message. Empty for policies without one. */
export interface PromptFrame {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The chat template cuts white space at the message's ends. */
  readonly trims?: boolean;
}
export const NO_FRAME: PromptFrame = { before: [], after: [] };

export interface Prompt {
  readonly text: string; // without the frame
  readonly runs: readonly Int32Array[]; // outermost first
  readonly numTokens: number;
}

/** Makes a prompt of a question. */
export interface Prompter {
  render(question: string): Prompt;
}

/** Prompts of one set of demonstrations. */
export class PromptTemplate implements Prompter {
  readonly preambleText: string;
  private readonly preamble: Int32Array;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly prompt: PromptText,
    tags: TagProfile,
    demonstrations: readonly Demonstration[],
    private readonly frame: PromptFrame = NO_FRAME,
  ) {
    const text = renderPreamble(prompt, tags, demonstrations);
    this.preambleText = frame.trims === true ? text.trimStart() : text;
    this.preamble = Int32Array.from([...frame.before, ...tokenizer.encodePlain(this.preambleText)]);
  }

  /** `material`: whole lines after the question, such as what was found for it. */
  render(question: string, material = ""): Prompt {
    const lines = renderQuestion(this.prompt, question) + material;
    const text = this.frame.trims === true ? lines.trimEnd() : lines;
    const asked = Int32Array.from([...this.tokenizer.encodePlain(text), ...this.frame.after]);
    const numTokens = this.preamble.length + asked.length;
    return { text: this.preambleText + text, runs: [this.preamble, asked], numTokens };
  }

  /** Not less than the prompt has, and cheap: a byte-level token stands for a byte at least. */
  maxTokens(question: string): number {
    const bytes = Buffer.byteLength(renderQuestion(this.prompt, question));
    return this.preamble.length + MAX_GROWTH * bytes + this.frame.after.length;
  }
}

/** What composing characters, as tokenizers do, can make of a byte of UTF-8 (Unicode, UAX 15). */
const MAX_GROWTH = 3;

/**
 * Sections parted by blank lines, the last one begun: its question is to follow. Ends at a line's
 * end.
 */
export function renderPreamble(
  prompt: PromptText,
  tags: TagProfile,
  demonstrations: readonly Demonstration[],
): string {
  const kinds = ["think", "call", "observation", "answer"] as const;
  const format = kinds.map((kind) => fillTags(prompt.format[kind], tags[kind]));
  const examples = demonstrations.map((each) => renderDemonstration(prompt, tags, each));
  const introduction = examples.length > 0 ? line(prompt.examples) : "";
  const sections = [
    [prompt.instruction, ...format].map(line).join(""),
    ...examples,
    line(prompt.handOver),
  ];
  sections[1] = introduction + sections[1]!;
  return sections.join("\n");
}

/** Question and whole trajectory, ending in a line end. */
export function renderDemonstration(
  prompt: PromptText,
  tags: TagProfile,
  demonstration: Demonstration,
): string {
  const turns = demonstration.turns.map((turn) => renderTurn(tags, turn));
  return (
    renderQuestion(prompt, demonstration.question) +
    turns.join("") +
    inTags(tags.answer, demonstration.answer)
  );
}

/** One line, with a question mark. */
export function renderQuestion(prompt: PromptText, question: string): string {
  const asked = question.trim();
  return `${prompt.question}${asked.endsWith("?") ? asked : `${asked}?`}\n`;
}

function renderTurn(tags: TagProfile, { think, toolCall, observation }: DemonstrationTurn): string {
  const call = toolCall === undefined ? "" : inTags(tags.call, toolCall);
  const result = observation === undefined ? "" : inTags(tags.observation, observation);
  return inTags(tags.think, think) + call + result;
}

const inTags = ({ open, close }: TagPair, text: string): string => `${open} ${text} ${close}\n`;
const fillTags = (line: string, { open, close }: TagPair): string =>
  line.replaceAll("{open}", open).replaceAll("{close}", close);
const line = (text: string): string => (text === "" ? "" : `${text}\n`);
