// What the policy reads after a call: the tool's text in the profile's tags, as text and as tokens.
// A text that is too long is cut inside the tags, which are always closed. Not here: calling tools
// (tools/tool.ts).

import type { Tokenizer } from "../model/tokenizer.ts";
import type { TagPair } from "../reward/tags.ts";
import { UserError } from "../config/errors.ts";

export interface Observation {
  readonly text: string;
  readonly tokens: readonly number[];
}

/** A text longer than this for each token of the limit is cut before it is encoded at all. */
const MAX_CHARS_PER_TOKEN = 64;

/**
 * Lives as long as a batch of rollouts: it keeps what it wrote, since samples often read the same.
 */
export class ObservationWriter {
  private readonly written = new Map<string, Observation>();

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly tags: TagPair,
    private readonly maxTokens: number, // of the whole observation, tags included
  ) {
    if (this.write("", true).tokens.length > maxTokens)
      throw new UserError(
        `observations of ${maxTokens} tokens have no room for ${tags.open} and ${tags.close}`,
      );
  }

  /** `newLine`: the policy's text has not ended its line. */
  write(result: string, newLine: boolean): Observation {
    const key = `${newLine ? "\n" : " "}${result}`;
    const kept = this.written.get(key);
    if (kept !== undefined) return kept;
    const observation = this.fit(result, newLine);
    this.written.set(key, observation);
    return observation;
  }

  private fit(result: string, newLine: boolean): Observation {
    const body = result.slice(0, this.maxTokens * MAX_CHARS_PER_TOKEN).trim();
    let observation = this.wrap(body, newLine);
    if (observation.tokens.length <= this.maxTokens) return observation;
    const bodyTokens = this.tokenizer.encodePlain(body);
    let kept = bodyTokens.length;
    while (observation.tokens.length > this.maxTokens && kept > 0) {
      kept = Math.max(0, kept - (observation.tokens.length - this.maxTokens));
      observation = this.wrap(
        wholeCharacters(this.tokenizer.decode(bodyTokens.slice(0, kept))),
        newLine,
      );
    }
    return observation;
  }

  private wrap(body: string, newLine: boolean): Observation {
    const { open, close } = this.tags;
    const text = `${newLine ? "\n" : ""}${open} ${body} ${close}\n`;
    return { text, tokens: this.tokenizer.encodePlain(text) };
  }
}

/** Without the rest of a character that was cut in two, and without the space before the cut. */
const wholeCharacters = (text: string): string => text.replace(/\uFFFD+$/, "").trimEnd();
