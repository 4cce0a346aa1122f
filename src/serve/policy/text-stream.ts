// The text of sampled tokens, given out as soon as it is certain: whole characters only, and
// nothing that may be the begin of a stop text. The first stop text ends it and is left out. What
// was given out, joined, is the text. Not tokens and not why sampling ended: generation.ts.

export class TextStream {
  /** A stop text was found. */
  stopped = false;
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private held = "";

  constructor(private readonly stops: readonly string[]) {}

  /** Bytes that are not UTF-8 become U+FFFD. */
  push(bytes: Uint8Array): string {
    return this.stopped ? "" : this.add(this.decoder.decode(bytes, { stream: true }));
  }

  /** What was held back, when no more comes. */
  end(): string {
    if (this.stopped) return "";
    const certain = this.add(this.decoder.decode());
    const rest = this.held;
    this.held = "";
    return this.stopped ? certain : certain + rest;
  }

  private add(text: string): string {
    const all = this.held + text;
    const at = this.firstStop(all);
    this.stopped = at >= 0;
    const certain = this.stopped ? at : all.length - this.uncertain(all);
    this.held = this.stopped ? "" : all.slice(certain);
    return all.slice(0, certain);
  }

  /** Where the stop text begins that is complete first; of several, the one that begins first. */
  private firstStop(text: string): number {
    let [start, end] = [-1, Infinity];
    for (const stop of this.stops) {
      const at = text.indexOf(stop);
      const isFirst = at + stop.length < end || (at + stop.length === end && at < start);
      if (at >= 0 && isFirst) [start, end] = [at, at + stop.length];
    }
    return start;
  }

  /** Length of the longest end of `text` that begins a stop text. */
  private uncertain(text: string): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
        if (stop.startsWith(text.slice(-n))) longest = n;
      }
    }
    return longest;
  }
}
