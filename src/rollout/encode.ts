// Text of the world (questions, demonstrations, tool results) into tokens. Special tokens written
// in such text stay text: a passage that says "<|endoftext|>" must not end anything. They all begin
// with "<|" in the tokenizers we read, so the text is encoded in pieces that part these two
// characters. Not here: templates, whose special tokens are meant.

import type { Tokenizer } from "../model/tokenizer.ts";

export function encodePlain(tokenizer: Tokenizer, text: string): number[] {
  if (!text.includes("<|")) return tokenizer.encode(text);
  return text.split(/(?<=<)(?=\|)/).flatMap((piece) => tokenizer.encode(piece));
}
