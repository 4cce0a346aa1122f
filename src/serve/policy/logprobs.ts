// Logprobs in the two forms of OpenAI's API. There is an entry for every token, those of a stop
// text and the end token included, so that entries and token ids stand side by side.

import type { Tokenizer } from "../../model/tokenizer.ts";
import type { TopToken } from "../../rollout/top-tokens.ts";
import { bytesOf } from "./generation.ts";
import { charactersOf, tokenText } from "./token-text.ts";

/** The first token of a prompt has no logprob. */
export interface TokenWithLogprob {
  readonly id: number;
  readonly logprob: number | null;
  readonly top: readonly TopToken[] | null;
}

export interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Readonly<Record<string, number>> | null)[] | null;
  readonly text_offset: number[];
}

/**
 * `start`: characters before the first token; below 0 where first tokens are not in the text.
 * `withTop`: false gives null for the whole list.
 */
export function completionLogprobs(
  tokenizer: Tokenizer,
  entries: readonly TokenWithLogprob[],
  withTop: boolean,
  start = 0,
): CompletionLogprobs {
  const offsets: number[] = [];
  let offset = start;
  for (const { id } of entries) {
    offsets.push(Math.max(0, offset));
    offset += charactersOf(tokenizer, id);
  }
  return {
    tokens: entries.map(({ id }) => tokenText(tokenizer, id)),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: withTop ? entries.map((entry) => topByText(tokenizer, entry)) : null,
    text_offset: offsets,
  };
}

/** The token itself is there even where it is not among the most probable. */
function topByText(tokenizer: Tokenizer, { id, logprob, top }: TokenWithLogprob) {
  if (logprob === null || top === null) return null;
  const byText = new Map<string, number>();
  for (const each of [...top, { id, logprob }]) {
    const text = tokenText(tokenizer, each.id);
    if (!byText.has(text)) byText.set(text, each.logprob);
  }
  return Object.fromEntries(byText);
}

export function chatLogprobs(tokenizer: Tokenizer, entries: readonly TokenWithLogprob[]) {
  const entry = ({ id, logprob }: { readonly id: number; readonly logprob: number | null }) => ({
    token: tokenText(tokenizer, id),
    logprob,
    bytes: [...bytesOf(tokenizer, id)],
  });
  const content = entries.map((each) => ({
    ...entry(each),
    top_logprobs: (each.top ?? []).map(entry),
  }));
  return { content, refusal: null };
}
