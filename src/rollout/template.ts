// The prompt, as text and as runs of tokens: instruction, one format line a tag, demonstrations,
// the sentence that hands over, the question. It is two runs, [all but the question, the question],
// encoded apart at a line's end, so the first run is the same for every question: that is what the
// KV cache and the training trie share. Not here: the words themselves (words.ts, recipe).

import type { Demonstration } from "../types.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { TagProfile } from "../reward/tags.ts";
import { renderDemonstration, renderQuestion } from "./demonstration-text.ts";
import { formatLines, type PromptText } from "./words.ts";

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
  const examples = demonstrations.map((each) => renderDemonstration(prompt, tags, each));
  const introduction = examples.length > 0 ? line(prompt.examples) : "";
  const sections = [
    [prompt.instruction, ...formatLines(prompt.format, tags)].map(line).join(""),
    ...examples,
    line(prompt.handOver),
  ];
  sections[1] = introduction + sections[1]!;
  return sections.join("\n");
}

const line = (text: string): string => (text === "" ? "" : `${text}\n`);
