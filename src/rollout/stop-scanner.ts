// Finds where a turn ends, token by token, in what the tokens say: `>` and `>\n` are different
// tokens, so a closing tag can end inside one. Works on UTF-8 bytes, without decoding text: a stop
// is ASCII or whole characters, so bytes and text agree. ASCII case is ignored, as in tag profiles.
// Not here: what a stop means (reward/tags.ts).

const UTF8 = new TextEncoder();

export class StopScanner {
  private readonly stops: readonly Uint8Array[];
  private readonly lastBytes = new Uint8Array(256); // 1 where a stop ends with the byte
  private bytes = new Uint8Array(1024); // the turn so far, as it was written
  private length = 0;

  constructor(stops: readonly string[]) {
    this.stops = stops.map((stop) => UTF8.encode(stop).map(lower));
    for (const stop of this.stops) this.lastBytes[stop.at(-1)!] = 1;
  }

  /** Starts a new turn. */
  clear(): void {
    this.length = 0;
  }

  /**
   * Adds a token's bytes. The index of the stop that is complete first in the turn's text, or -1.
   */
  push(token: Uint8Array): number {
    this.reserve(token.length);
    let found = -1;
    for (let i = 0; i < token.length; i++) {
      this.bytes[this.length++] = token[i]!;
      if (found < 0 && this.lastBytes[lower(token[i]!)] === 1) found = this.stopThatEndsHere();
    }
    return found;
  }

  /** The turn's text. Bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      this.bytes.subarray(0, this.length),
    );
  }

  private stopThatEndsHere(): number {
    return this.stops.findIndex((stop) => {
      const start = this.length - stop.length;
      return start >= 0 && stop.every((byte, i) => byte === lower(this.bytes[start + i]!));
    });
  }

  private reserve(extra: number): void {
    if (this.length + extra <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + extra));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

const lower = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte);
