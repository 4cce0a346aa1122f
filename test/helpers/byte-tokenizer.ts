// A tokenizer for tests: 256 bytes, a few longer tokens (longest match first), and one end token.
// It splits characters between tokens and glues `>` to what follows, as byte-level vocabularies do.

import type { Tokenizer } from "../../src/model/tokenizer.ts";

const LONGER = [">\n", ">\n\n", "</search>", "</answer>", " <", "search", "information", ".\n"];
export const EOS = 256 + LONGER.length;

const UTF8 = new TextEncoder();

class ByteTokenizer implements Tokenizer {
  readonly vocabSize = EOS + 1;
  readonly eosIds = [EOS];
  readonly startIds = [];
  private readonly bytes = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...LONGER.map((text) => UTF8.encode(text)),
    UTF8.encode("<|endoftext|>"),
  ];

  encode(text: string): number[] {
    const bytes = UTF8.encode(text);
    const ids: number[] = [];
    for (let at = 0; at < bytes.length; at += this.bytes[ids.at(-1)!]!.length) {
      ids.push(this.longestAt(bytes, at));
    }
    return ids;
  }

  encodePlain(text: string): number[] {
    return text.split(/(?<=<)(?=\|)/).flatMap((piece) => this.encode(piece));
  }

  decode(ids: ArrayLike<number>): string {
    const bytes = Array.from(ids, (id) => [...this.tokenBytes(id)]).flat();
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  tokenBytes(id: number): Uint8Array {
    return this.bytes[id]!;
  }

  private longestAt(bytes: Uint8Array, at: number): number {
    let best = bytes[at]!;
    for (let id = 256; id <= EOS; id++) {
      const token = this.bytes[id]!;
      const matches = token.every((byte, i) => bytes[at + i] === byte);
      if (matches && token.length > this.bytes[best]!.length) best = id;
    }
    return best;
  }
}

export const byteTokenizer: Tokenizer = new ByteTokenizer();
