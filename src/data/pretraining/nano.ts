// What the embedded policy is pretrained with, from a seed: its tokenizer and its rows of tokens.

import type { Tokenizer, TokenizerJson } from "../../model/tokenizer.ts";
import { trainTokenizer } from "../../model/bpe.ts";
import { NANO_ROW_TOKENS, NANO_VOCABULARY } from "../../model/nano/config.ts";
import { almanac } from "../almanac.ts";
import { Random } from "../random.ts";
import { randomDocument } from "./documents.ts";
import { packRows } from "./pack.ts";

const TOKENIZER_DOCUMENTS = 8000;

/** The content of tokenizer.json, trained on documents of a stream of their own. */
export function nanoTokenizer(seed: number): TokenizerJson {
  const { names } = almanac();
  const random = new Random(seed, "tokenizer text");
  let text = "";
  for (let i = 0; i < TOKENIZER_DOCUMENTS; i++) text += randomDocument(random, names).text;
  return trainTokenizer(text, NANO_VOCABULARY) as unknown as TokenizerJson;
}

/** Rows without end. No document names an entity of the almanac. */
export function pretrainingRows(tokenizer: Tokenizer, seed: number): Generator<Int32Array> {
  const { names } = almanac();
  const random = new Random(seed, "pretraining documents");
  const next = (): readonly number[] => tokenizer.encode(randomDocument(random, names).text);
  return packRows(next, NANO_ROW_TOKENS, tokenizer.eosIds[0] as number);
}
