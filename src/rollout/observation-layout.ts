// How tools' outputs are written where the policy reads them: in a profile's tags after its own
// text, or as messages of the model's chat template after its own message. Text and tokens; special
// tokens are the template's alone, whatever a tool says. Not here: cutting to a limit
// (observation.ts).

import type { ToolFrame } from "../model/chat-template.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { stopOpensObservation, type TagPair, type TagProfile } from "../reward/tags.ts";
import { findStop } from "../reward/turn.ts";

export interface Observation {
  readonly text: string;
  readonly tokens: readonly number[];
}
/** What the policy has just written. */
export interface PolicyTurn {
  readonly text: string;
  readonly lastId: number;
}
export interface ObservationLayout {
  /** For messages to people. */
  readonly tags: TagPair;
  /** Whether the policy has itself written what would come first: a line end, its end token. */
  isClosed(turn: PolicyTurn): boolean;
  /** One text a call. */
  write(outputs: readonly string[], isClosed: boolean): Observation;
}

/** After the tag that ended the turn; the observation begins a line. */
export function tagLayout(tokenizer: Tokenizer, tags: TagProfile): ObservationLayout {
  const { before, after } = tags.observationWrap;
  const rest = { before: stopOpensObservation(tags) ? "" : before, after };
  return {
    ...blockLayout(tokenizer, { ...tags, observationWrap: rest }),
    isClosed: ({ text }) => text.includes("\n", findStop(tags, text)!.end),
  };
}

/** In a prompt, from the beginning of a line. */
export function blockLayout(tokenizer: Tokenizer, tags: TagProfile): ObservationLayout {
  const { before, after } = tags.observationWrap;
  return {
    tags: tags.observation,
    isClosed: ({ text }) => text.endsWith("\n"),
    write(outputs, isClosed) {
      const block = outputs.map((output) => `${before}${output}${after}\n`).join("");
      const text = isClosed ? block : `\n${block}`;
      return { text, tokens: tokenizer.encodePlain(text) };
    },
  };
}

export function chatLayout(
  tokenizer: Tokenizer,
  { before, between, after }: ToolFrame,
  { observation: tags }: TagProfile,
): ObservationLayout {
  const [endId = -1] = tokenizer.encode(before);
  const endsTurn = tokenizer.eosIds.includes(endId);
  const rest = endsTurn ? before.slice(tokenizer.decode([endId]).length) : before;
  return {
    tags,
    isClosed: ({ lastId }) => endsTurn && lastId === endId,
    write(outputs, isClosed) {
      const parts: Part[] = [{ markup: isClosed ? rest : before }];
      outputs.forEach((output, i) => {
        parts.push({ plain: output }, { markup: i < outputs.length - 1 ? between : after });
      });
      const text = parts.map((part) => part.markup ?? part.plain).join("");
      return { text, tokens: encodeParts(tokenizer, parts) };
    },
  };
}

/** Text of a template, or of a tool. */
type Part =
  | { readonly markup: string; readonly plain?: never }
  | { readonly plain: string; readonly markup?: never };

const SPECIAL = /(<\|[^|>]*\|>)/;

/** The ids that the whole text has, but for special tokens in plain parts: those stay text. */
function encodeParts(tokenizer: Tokenizer, parts: readonly Part[]): number[] {
  const ids: number[] = [];
  let text = "";
  for (const { markup, plain } of parts) {
    if (markup === undefined) text += plain;
    for (const piece of markup?.split(SPECIAL) ?? []) {
      if (!SPECIAL.test(piece)) text += piece;
      else {
        ids.push(...tokenizer.encodePlain(text), ...tokenizer.encode(piece));
        text = "";
      }
    }
  }
  return [...ids, ...tokenizer.encodePlain(text)];
}
