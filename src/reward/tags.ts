// The tag grammar of a protocol, as data, and the pure functions that read a whole text by it: what
// the answer is, which text is a tool's. Case is ignored everywhere. The profiles themselves are in
// tag-profiles.ts, a turn is read in turn.ts. Not here: points for any of it (format.ts), tokens,
// calling tools.

import { suggestion, UserError } from "../config/errors.ts";
import { lastBoxed } from "./math/boxed.ts";
import { PROFILES } from "./tag-profiles.ts";

export interface TagPair {
  readonly open: string;
  readonly close: string;
}
/** What is written around a text, exactly. */
export interface Wrap {
  readonly before: string;
  readonly after: string;
}
/** A tool as a profile needs it. */
export interface ToolTag {
  readonly name: string;
  /** The word of its tags, where tools have tags of their own. */
  readonly tag: string;
  /** The argument that a bare text is; absent: its input is the text of a JSON object. */
  readonly textParameter?: string;
}
/** How one tool is called. */
export interface CallForm {
  readonly tool: string;
  readonly tags: TagPair;
  readonly wrap: Wrap;
  readonly textParameter?: string;
}
/** A text that ends the policy's turn, usually a closing tag, and what it means. */
export type Stop =
  | { readonly kind: "call"; readonly tool: string; readonly text: string }
  | { readonly kind: "answer"; readonly text: string };

export interface TagProfile {
  readonly name: string;
  /** Absent: thoughts are plain text. */
  readonly think?: TagPair;
  /** One a tool, in the recipe's order; never empty. */
  readonly calls: readonly CallForm[];
  /** Between a call's tags: text, code that may stand in a fence, or JSON of name and arguments. */
  readonly callText: "plain" | "fenced" | "json";
  readonly observation: TagPair;
  readonly observationWrap: Wrap;
  /** Of a tool's output, this many characters are shown; absent: all that the tool's limit lets. */
  readonly maxResultChars?: number;
  readonly answer: TagPair;
  /**
   * Where the answer is: in the last pair of its tags; in a \boxed{} within that; in the last
   * \boxed{} of all; or it is all that the last message says.
   */
  readonly answerIn: "tags" | "box_in_tags" | "box" | "message";
  readonly stops: readonly Stop[];
  /** Turns are messages: end tokens end them, and the model's chat template writes observations. */
  readonly chat: boolean;
}

export const tagProfileNames: readonly string[] = Object.keys(PROFILES);

/** `tools`: absent, the one that the profile is usually seen with. Throws UserError. */
export function tagProfile(name: string, tools?: readonly ToolTag[]): TagProfile {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined;
  if (profile !== undefined) return { name, ...profile.make(tools ?? [profile.usualTool]) };
  throw new UserError(`unknown tag profile "${name}"`, { hint: suggestion(name, tagProfileNames) });
}

/** How `tool` is called; absent, the first one. Throws UserError where the profile has no such. */
export function callForm({ calls }: TagProfile, tool?: string): CallForm {
  const found = tool === undefined ? calls[0] : calls.find((each) => each.tool === tool);
  if (found !== undefined) return found;
  const hint = suggestion(
    String(tool),
    calls.map((each) => each.tool),
  );
  throw new UserError(`there is no tool "${tool}"`, { hint });
}

/** The final answer, trimmed; undefined when there is none. */
export function lastAnswer(tags: TagProfile, text: string): string | undefined {
  switch (tags.answerIn) {
    case "tags":
      return lastInside(tags.answer, text)?.trim();
    case "box_in_tags":
      return lastBoxed(lastInside(tags.answer, text) ?? "")?.content.trim();
    case "box":
      return lastBoxed(text)?.content.trim();
    case "message":
      return lastMessage(tags, text) || undefined;
  }
}

/** What comes after the last call, without thoughts in tags. */
function lastMessage({ calls }: TagProfile, text: string): string {
  const closes = calls.map(({ tags }) => escape(tags.close)).join("|");
  const last = text.split(new RegExp(closes, "i")).at(-1)!;
  return last.replace(/^[^]*<\/think>/i, "").trim();
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

/** Whether the text that stops a call already opens the observation (```output). */
export function stopOpensObservation({ stops, observation }: TagProfile): boolean {
  return stops.some(({ kind, text }) => kind === "call" && text === observation.open);
}

/** What a chat template may put between a call and what a tool answers, and after that. */
const CHAT_MARKS = "(?:\\s|<\\|im_end\\|>|<\\|im_start\\|>(?:user|tool|assistant)\\b)*";

/**
 * The policy's own part of a response whose token roles are not known: observations are cut out.
 * Only a complete observation right after a stopped call came from a tool; any other observation
 * tag was written by the policy, and stays.
 */
export function ownText(tags: TagProfile, response: string): string {
  const stops = tags.stops.flatMap(({ kind, text }) => (kind === "call" ? [text] : []));
  const ends = tags.chat ? tags.calls.map((form) => form.tags.close) : stops;
  const open = stopOpensObservation(tags) ? "" : escape(tags.observation.open);
  const observed = `${open}[^]*?${escape(tags.observation.close)}`;
  const all = tags.chat ? `${CHAT_MARKS}(?:${observed}${CHAT_MARKS})+` : `\\s*${observed}`;
  const pattern = new RegExp(`(${[...new Set(ends)].map(escape).join("|")})${all}`, "gi");
  return response.replace(pattern, "$1");
}

export const escape = (literal: string): string => literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
