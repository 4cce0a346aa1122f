// The tag grammar of a protocol, as data, and the pure functions that read text by it: where
// generation stops, what a turn asked for, what the answer is, which text is a tool's. Case is
// ignored everywhere. Not here: points for any of it (format.ts), tokens, calling tools.

import { suggestion, UserError } from "../config/errors.ts";

export interface TagPair {
  readonly open: string;
  readonly close: string;
}
export type StopKind = "call" | "answer";
/**
 * A text that ends the policy's turn, and what it means. Usually the closing tag of a pair, but it
 * need not be.
 */
export interface Stop {
  readonly kind: StopKind;
  readonly text: string;
}
export interface TagProfile {
  readonly name: string;
  readonly think: TagPair;
  readonly call: TagPair;
  readonly observation: TagPair;
  readonly answer: TagPair;
  readonly stops: readonly Stop[];
}

const pair = (name: string): TagPair => ({ open: `<${name}>`, close: `</${name}>` });

const search = {
  think: pair("think"),
  call: pair("search"),
  observation: pair("information"),
  answer: pair("answer"),
  stops: [
    { kind: "call", text: "</search>" },
    { kind: "answer", text: "</answer>" },
  ],
} as const;

const profiles: readonly TagProfile[] = [
  { name: "icrl", ...search },
  { name: "search-r1", ...search },
];
export const tagProfileNames: readonly string[] = profiles.map((profile) => profile.name);

export function tagProfile(name: string): TagProfile {
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  throw new UserError(`unknown tag profile "${name}"`, { hint: suggestion(name, tagProfileNames) });
}

/** A stop text found in `text`, as the range [start, end). */
export interface StopMatch {
  readonly kind: StopKind;
  readonly start: number;
  readonly end: number;
}

/** The stop that is complete first in `text` at or after `from`, whatever its kind. */
export function findStop(tags: TagProfile, text: string, from = 0): StopMatch | undefined {
  let first: StopMatch | undefined;
  for (const stop of tags.stops) {
    const start = indexIn(text, stop.text, from);
    const end = start + stop.text.length;
    if (start >= 0 && (first === undefined || end < first.end)) {
      first = { kind: stop.kind, start, end };
    }
  }
  return first;
}

/**
 * What the policy's text of one turn asks for. A call whose opening tag is missing is
 * `invalid_call`.
 */
export type ParsedTurn =
  | { readonly kind: "call"; readonly input: string }
  | { readonly kind: "invalid_call" }
  | { readonly kind: "answer"; readonly answer: string | undefined }
  | { readonly kind: "none" };

/** Reads a turn up to its first stop; text after that is ignored. */
export function parseTurn(tags: TagProfile, turnText: string): ParsedTurn {
  const stop = findStop(tags, turnText);
  if (stop === undefined) return { kind: "none" };
  const text = turnText.slice(0, stop.end);
  if (stop.kind === "answer")
    return { kind: "answer", answer: lastInside(tags.answer, text)?.trim() };
  const input = lastInside(tags.call, text)?.trim();
  return input === undefined ? { kind: "invalid_call" } : { kind: "call", input };
}

/** The last complete answer, trimmed; undefined when no pair is complete. */
export function lastAnswer(tags: TagProfile, text: string): string | undefined {
  return lastInside(tags.answer, text)?.trim();
}

/** Text inside the last complete pair. Between the two tags lies no further opening tag. */
export function lastInside(tag: TagPair, text: string): string | undefined {
  const [open, close] = [escape(tag.open), escape(tag.close)];
  const complete = new RegExp(`${open}((?:(?!${open})[^])*?)${close}`, "gi");
  let last: string | undefined;
  for (const match of text.matchAll(complete)) last = match[1];
  return last;
}

/** How often `needle` occurs in `text`. */
export function countOf(needle: string, text: string): number {
  return text.match(new RegExp(escape(needle), "gi"))?.length ?? 0;
}

/**
 * The policy's own part of a response whose token roles are not known: observations are cut out.
 * Only a complete observation right after a stopped call came from a tool; any other observation
 * tag was written by the policy, and stays.
 */
export function ownText(tags: TagProfile, response: string): string {
  const calls = tags.stops.filter((stop) => stop.kind === "call").map((stop) => escape(stop.text));
  const { open, close } = tags.observation;
  const observed = new RegExp(`(${calls.join("|")})\\s*${escape(open)}[^]*?${escape(close)}`, "gi");
  return response.replace(observed, "$1");
}

const escape = (literal: string): string => literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * indexOf that ignores case and keeps indices of `text` (lower-casing a text can change its
 * length).
 */
function indexIn(text: string, needle: string, from: number): number {
  const pattern = new RegExp(escape(needle), "gi");
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? -1;
}
