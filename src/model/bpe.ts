// Trains a byte-level BPE (Sennrich et al., 2016; bytes as in GPT-2) on a text and writes it as a
// Hugging Face tokenizer.json, which the JavaScript and the Python library load with the same ids.
// Id 0 is <|endoftext|>, 1-256 the bytes, then the merges in their order. Ties between equally
// frequent pairs go to the pair that was met first, so a text gives one tokenizer. It is not fast:
// made for a vocabulary of a thousand and a few megabytes.

export const END_OF_TEXT = "<|endoftext|>";
/**
 * Keeps "<", "word" and ">" as tokens of their own, and joins line ends to the sign before them.
 */
export const PRE_TOKENIZER = " ?\\p{L}+| ?\\p{N}| ?[^\\s\\p{L}\\p{N}]+\\n*|\\n+|\\s+";

/** The printable stand-in of each byte in tokenizer.json (GPT-2's table). */
export function byteSymbols(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
}

/** A pre-token with its present symbols. */
interface Word {
  readonly count: number;
  symbols: string[];
}
export type Merge = readonly [left: string, right: string];
type PairCounts = Map<string, number>;

export function trainMerges(text: string, count: number): Merge[] {
  const words = countWords(text);
  const pairs: PairCounts = new Map();
  for (const word of words) addPairs(pairs, word, 1);
  const merges: Merge[] = [];
  while (merges.length < count) {
    const best = mostFrequent(pairs);
    if (best === undefined)
      throw new RangeError(`the text yields ${merges.length} merges, not ${count}`);
    merges.push(best);
    for (const word of words) mergeInWord(word, best, pairs);
  }
  return merges;
}

function countWords(text: string): Word[] {
  const counts = new Map<string, number>();
  for (const [word] of text.matchAll(new RegExp(PRE_TOKENIZER, "gu")))
    counts.set(word, (counts.get(word) ?? 0) + 1);
  const symbols = byteSymbols();
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    count,
    symbols: [...encoder.encode(word)].map((byte) => symbols[byte] as string),
  }));
}

const SEPARATOR = "\n"; // never a symbol: the stand-in of a line end is another character

function addPairs(pairs: PairCounts, { count, symbols }: Word, sign: 1 | -1): void {
  for (let i = 0; i + 1 < symbols.length; i++) {
    const pair = symbols[i] + SEPARATOR + symbols[i + 1];
    pairs.set(pair, (pairs.get(pair) ?? 0) + sign * count);
  }
}

function mostFrequent(pairs: PairCounts): Merge | undefined {
  let best: string | undefined;
  let most = 0;
  for (const [pair, count] of pairs) {
    if (count <= most) continue;
    best = pair;
    most = count;
  }
  return best?.split(SEPARATOR) as Merge | undefined;
}

function mergeInWord(word: Word, merge: Merge, pairs: PairCounts): void {
  const symbols = applyMerge(word.symbols, merge);
  if (symbols.length === word.symbols.length) return;
  addPairs(pairs, word, -1);
  word.symbols = symbols;
  addPairs(pairs, word, 1);
}

function applyMerge(symbols: string[], [left, right]: Merge): string[] {
  if (!symbols.includes(left)) return symbols;
  const out: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const joins = symbols[i] === left && symbols[i + 1] === right;
    out.push(joins ? left + right : (symbols[i] as string));
    if (joins) i++;
  }
  return out;
}

/** The content of a tokenizer.json. `vocabulary` counts the bytes and the end token too. */
export function trainTokenizer(text: string, vocabulary: number): Record<string, unknown> {
  const merges = trainMerges(text, vocabulary - 257);
  const tokens = [END_OF_TEXT, ...byteSymbols(), ...merges.map((pair) => pair.join(""))];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: END_OF_TEXT,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: PRE_TOKENIZER }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
