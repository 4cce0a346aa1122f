// How a token is written in an answer: its text, or its bytes where those are not whole characters
// ("bytes:\xe2\x96"), as OpenAI writes them; and where each token of a text begins.

import type { Tokenizer } from "../../model/tokenizer.ts";
import { bytesOf } from "./generation.ts";

export function tokenText(tokenizer: Tokenizer, id: number): string {
  const bytes = bytesOf(tokenizer, id);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const escaped = Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`);
    return `bytes:${escaped.join("")}`;
  }
}

/** Number of characters that begin in each token: all bytes but UTF-8's continuations. */
export function charactersOf(tokenizer: Tokenizer, id: number): number {
  let count = 0;
  for (const byte of bytesOf(tokenizer, id)) if ((byte & 0xc0) !== 0x80) count++;
  return count;
}
