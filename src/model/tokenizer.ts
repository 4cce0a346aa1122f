// The tokenizer of a policy, read from a Hugging Face tokenizer.json. Text in and out of a rollout
// passes here and nowhere else; what was sampled is never encoded again. No chat template and no
// special tokens are added.

import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { byteSymbols } from "./bpe.ts";

export interface Tokenizer {
  readonly vocabSize: number;
  /** Ids that end a text. */
  readonly eosIds: readonly number[];
  /** Encodes text as it stands; special tokens written in it ("<|endoftext|>") become their ids. */
  encode(text: string): number[];
  /** Bytes that are no whole UTF-8 character become U+FFFD. Special tokens are kept. */
  decode(ids: ArrayLike<number>): string;
  /** The bytes of one token. Several tokens may share a character, so decode only joined bytes. */
  tokenBytes(id: number): Uint8Array;
}

/** The parts of tokenizer.json that are read here; the library reads the rest. */
export interface TokenizerJson {
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly decoder?: unknown;
}

const COMMON_END_TOKENS = ["<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>"];

/**
 * `eosIds`: as generation_config.json or config.json say; without them, the usual end tokens that
 * the vocabulary has. Only byte-level tokenizers (GPT-2, Qwen, Llama 3) are supported.
 */
export function createTokenizer(json: TokenizerJson, eosIds?: readonly number[]): Tokenizer {
  if (!JSON.stringify(json.decoder ?? null).includes('"ByteLevel"'))
    throw new TypeError("not a byte-level tokenizer");
  const library = new HuggingFaceTokenizer(json, {});
  const bytes = tableOfBytes(json);
  return {
    vocabSize: bytes.length,
    eosIds: eosIds ?? endTokens(json),
    encode: (text) => (text === "" ? [] : library.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) => new TextDecoder().decode(joinBytes(ids, bytes)),
    tokenBytes: (id) => bytesOf(id, bytes),
  };
}

const endTokens = ({ added_tokens = [] }: TokenizerJson): number[] =>
  added_tokens.filter(({ content }) => COMMON_END_TOKENS.includes(content)).map(({ id }) => id);

/** By id. Ids that no token has are holes. */
function tableOfBytes({ model, added_tokens = [] }: TokenizerJson): (Uint8Array | undefined)[] {
  const byteOf = new Map(byteSymbols().map((symbol, byte) => [symbol, byte]));
  const table: (Uint8Array | undefined)[] = [];
  for (const [token, id] of Object.entries(model.vocab))
    table[id] = Uint8Array.from(token, (symbol) => byteOf.get(symbol) ?? 0);
  for (const { id, content } of added_tokens) table[id] = new TextEncoder().encode(content);
  return table;
}

function bytesOf(id: number, table: readonly (Uint8Array | undefined)[]): Uint8Array {
  const bytes = table[id];
  if (bytes === undefined) throw new RangeError(`no token has id ${id}`);
  return bytes;
}

function joinBytes(ids: ArrayLike<number>, table: readonly (Uint8Array | undefined)[]): Uint8Array {
  const parts = Array.from(ids, (id) => bytesOf(id, table));
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
