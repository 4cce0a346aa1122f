// The tokenizer of a policy, made from a Hugging Face tokenizer.json. Text in and out of a rollout
// passes here and nowhere else; what was sampled is never encoded again. No chat template and no
// special tokens are added. Not the reading of a model's folder: tokenizer-folder.ts.

import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { byteSymbols } from "./bpe.ts";

export interface Tokenizer {
  readonly vocabSize: number;
  /** Ids that end a text. */
  readonly eosIds: readonly number[];
  /** What the model is used to see before any text: usually nothing, or the id of its bos token. */
  readonly startIds: readonly number[];
  /** Encodes text as it stands; special tokens written in it ("<|endoftext|>") become their ids. */
  encode(text: string): number[];
  /**
   * Encodes text of the world (questions, passages): special tokens written in it stay text, since
   * a passage that says "<|endoftext|>" must not end anything.
   */
  encodePlain(text: string): number[];
  /** Bytes that are no whole UTF-8 character become U+FFFD. Special tokens are kept. */
  decode(ids: ArrayLike<number>): string;
  /** The bytes of one token. Several tokens may share a character, so decode only joined bytes. */
  tokenBytes(id: number): Uint8Array;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}
/** The parts of tokenizer.json that are read here; the library reads the rest. */
export interface TokenizerJson {
  readonly added_tokens?: readonly AddedToken[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly decoder?: unknown;
}
export interface TokenizerOptions {
  /**
   * As generation_config.json or config.json say; without them, the usual end tokens that the
   * vocabulary has.
   */
  readonly eosIds?: readonly number[];
  /** Of the model, where it has more ids than tokens; those ids are tokens without bytes. */
  readonly vocabSize?: number;
}

const COMMON_END_TOKENS = ["<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>"];

/** Only byte-level tokenizers (GPT-2, Qwen, Llama 3) are supported. */
export function createTokenizer(json: TokenizerJson, options: TokenizerOptions = {}): Tokenizer {
  if (!JSON.stringify(json.decoder ?? null).includes('"ByteLevel"'))
    throw new TypeError("not a byte-level tokenizer");
  const library = new HuggingFaceTokenizer(json, {});
  const encode = (text: string, add_special_tokens = false): number[] =>
    text === "" ? [] : library.encode(text, { add_special_tokens }).ids;
  const split = specialSplitter(json);
  const bytes = tableOfBytes(json);
  for (let id = 0; id < (options.vocabSize ?? 0); id++) bytes[id] ??= NO_BYTES;
  return {
    vocabSize: bytes.length,
    eosIds: options.eosIds ?? endTokens(json),
    startIds: startIds(encode),
    encode: (text) => encode(text),
    encodePlain: (text) => split(text).flatMap((piece) => encode(piece)),
    decode: (ids) => new TextDecoder().decode(joinBytes(ids, bytes)),
    tokenBytes: (id) => bytesOf(id, bytes),
  };
}

const NO_BYTES = new Uint8Array(0);

/** What the tokenizer's own rule for a whole text puts before it. */
function startIds(encode: (text: string, addSpecialTokens: boolean) => number[]): number[] {
  const [bare, whole] = [encode("a", false), encode("a", true)];
  return whole.slice(0, Math.max(0, whole.indexOf(bare[0]!)));
}

/**
 * Parts each special token that a text spells after its first character, so that no piece holds
 * one. Also tokens of that look that are not marked special ("<|fim_prefix|>").
 */
function specialSplitter({
  added_tokens = [],
}: TokenizerJson): (text: string) => readonly string[] {
  const byFirst = new Map<string, string[]>();
  for (const { content, special } of added_tokens) {
    const [first = "", ...rest] = content;
    if (rest.length === 0 || !(special === true || /^<[|\uff5c]/.test(content))) continue;
    byFirst.set(first, [...(byFirst.get(first) ?? []), RegExp.escape(rest.join(""))]);
  }
  if (byFirst.size === 0) return (text) => [text];
  const places = [...byFirst].map(
    ([first, rests]) => `(?<=${RegExp.escape(first)})(?=${rests.join("|")})`,
  );
  const pattern = new RegExp(places.join("|"), "u");
  return (text) => text.split(pattern);
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
