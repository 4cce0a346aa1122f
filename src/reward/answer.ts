// Where the final answer stands in what a policy wrote: inside its tags, in the last \boxed{}, or
// on a line of its own. Not here: whether it is right.

import { lastBoxed } from "./math/boxed.ts";
import { lastAnswer, type TagProfile } from "./tags.ts";

/**
 * `tags`: as the tag profile says. `boxed`: the last \boxed{}. `boxed_or_line`: that or the last
 * line with `Answer:`, whichever comes later.
 */
export type AnswerPlace = "tags" | "boxed" | "boxed_or_line";

/** Trimmed; undefined where there is none. */
export function finalAnswer(
  place: AnswerPlace,
  tags: TagProfile,
  policyText: string,
): string | undefined {
  if (place === "tags") return lastAnswer(tags, policyText);
  const boxed = lastBoxed(policyText);
  if (place === "boxed") return boxed?.content.trim();
  const line = lastAnswerLine(policyText);
  const lineIsLater = line !== undefined && (boxed === undefined || line.start > boxed.start);
  return lineIsLater ? line.content : boxed?.content.trim();
}

interface Found {
  readonly content: string;
  readonly start: number;
}

function lastAnswerLine(text: string): Found | undefined {
  let last: Found | undefined;
  for (const match of text.matchAll(/answer[^\S\n]*:[^\S\n]*([^\n]*)/gi)) {
    const content = withoutTags(match[1]!).trim();
    if (content !== "") last = { content, start: match.index };
  }
  return last;
}

/** A closing tag may end the line; emphasis may surround what it says. */
const withoutTags = (line: string): string => line.replace(/<\/\w+>.*$/, "").replaceAll("**", "");
