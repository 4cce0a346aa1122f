// What the policy reads after its calls, never longer than their tools' limits: an output that is
// too long is cut inside what stands around it, which is always closed. Not here: what stands around
// it (observation-layout.ts), calling tools (tools/toolbox.ts).

import type { Tokenizer } from "../model/tokenizer.ts";
import type { Toolbox } from "../tools/toolbox.ts";
import { UserError } from "../config/errors.ts";
import type { Observation, ObservationLayout, PolicyTurn } from "./observation-layout.ts";

/** What a tool answered to one call. */
export interface Output {
  readonly tool: string;
  readonly text: string;
}
export interface ObservationLimits {
  readonly toolbox: Pick<Toolbox, "tools" | "maxObservationTokens">;
  /** Of an output. */
  readonly maxChars?: number | undefined;
}

/** A text longer than this for each token of the limit is cut before it is encoded at all. */
const MAX_CHARS_PER_TOKEN = 64;

/**
 * Lives as long as a batch of rollouts: it keeps what it wrote, since samples often read the same.
 */
export class ObservationWriter {
  private readonly written = new Map<string, Observation>();

  /** Throws UserError where a tool's limit has no room for what stands around an output. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly layout: ObservationLayout,
    private readonly limits: ObservationLimits,
  ) {
    const { tokens } = layout.write([""], false);
    for (const { name } of limits.toolbox.tools) {
      const max = limits.toolbox.maxObservationTokens(name);
      if (tokens.length <= max) continue;
      const { open, close } = layout.tags;
      const what = `observations of ${max} tokens have no room for ${open} and ${close}`;
      throw new UserError(what, { where: `tool.${name}.max_observation_tokens` });
    }
  }

  /** The outputs of the calls that `turn` made, in order. Absent: after a line's end. */
  write(outputs: readonly Output[], turn?: PolicyTurn): Observation {
    const isClosed = turn === undefined || this.layout.isClosed(turn);
    const key = JSON.stringify([isClosed, ...outputs.flatMap(({ tool, text }) => [tool, text])]);
    const kept = this.written.get(key);
    if (kept !== undefined) return kept;
    const observation = this.fitted(outputs, isClosed);
    this.written.set(key, observation);
    return observation;
  }

  private fitted(outputs: readonly Output[], isClosed: boolean): Observation {
    const limits = outputs.map(({ tool }) => this.limits.toolbox.maxObservationTokens(tool));
    const bodies = outputs.map(({ text }, i) => this.shortened(text, limits[i]!));
    const whole = this.layout.write(bodies, isClosed);
    if (whole.tokens.length <= Math.min(...limits)) return whole;
    const cut = bodies.map((body, i) => this.cut(body, limits[i]!));
    return this.layout.write(cut, isClosed);
  }

  private shortened(text: string, maxTokens: number): string {
    const maxChars = Math.min(this.limits.maxChars ?? Infinity, maxTokens * MAX_CHARS_PER_TOKEN);
    return wholeCharacters(text.slice(0, maxChars)).trim();
  }

  /** As much of it as the limit allows when it stands alone. */
  private cut(body: string, maxTokens: number): string {
    let excess = this.excess(body, maxTokens);
    if (excess <= 0) return body;
    const tokens = this.tokenizer.encodePlain(body);
    let text = body;
    for (let kept = tokens.length; excess > 0 && kept > 0;) {
      kept = Math.max(0, kept - excess);
      text = wholeCharacters(this.tokenizer.decode(tokens.slice(0, kept)));
      excess = this.excess(text, maxTokens);
    }
    return text;
  }

  private excess(body: string, max: number): number {
    return this.layout.write([body], false).tokens.length - max;
  }
}

/** Without the rest of a character that was cut in two, and without the space before the cut. */
const wholeCharacters = (text: string): string =>
  text.replace(/[\uD800-\uDBFF]$|\uFFFD+$/, "").trimEnd();
