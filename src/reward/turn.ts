// What one turn of the policy asks for: where it ends, and which calls or which answer it holds, by
// a tag profile. Pure. Not here: what a whole response answers (tags.ts), calling tools.

import type { CallForm, Stop, TagProfile } from "./tags.ts";
import { escape, lastAnswer, lastInside } from "./tags.ts";

/** A stop text found in a text, as the range [start, end). */
export interface StopMatch {
  readonly stop: Stop;
  readonly start: number;
  readonly end: number;
}

/** The stop that is complete first in `text` at or after `from`, whatever its kind. */
export function findStop(tags: TagProfile, text: string, from = 0): StopMatch | undefined {
  let first: StopMatch | undefined;
  for (const stop of tags.stops) {
    const start = indexIn(text, stop.text, from);
    const end = start + stop.text.length;
    if (start >= 0 && (first === undefined || end < first.end)) first = { stop, start, end };
  }
  return first;
}

/** A call as written. With a `fault` it can't be made; the fault is a sentence for the policy. */
export interface ParsedCall {
  readonly tool: string;
  readonly input: string;
  readonly fault?: string;
}
/** Several calls only where turns are messages. */
export type ParsedTurn =
  | { readonly kind: "call"; readonly calls: readonly ParsedCall[] }
  | { readonly kind: "answer"; readonly answer: string | undefined }
  | { readonly kind: "none" };

/** Reads a turn up to its first stop; text after that is ignored. */
export function parseTurn(tags: TagProfile, turnText: string): ParsedTurn {
  if (tags.chat) return parseMessage(tags, turnText);
  const found = findStop(tags, turnText);
  if (found === undefined) return unstopped(tags, turnText);
  const { stop, end } = found;
  const text = turnText.slice(0, end);
  if (stop.kind === "answer") return { kind: "answer", answer: lastAnswer(tags, text) };
  const form = tags.calls.find(({ tool }) => tool === stop.tool)!;
  return { kind: "call", calls: [taggedCall(tags, form, text)] };
}

/** Where no stop ends an answer, the turn's end does. */
function unstopped(tags: TagProfile, text: string): ParsedTurn {
  if (tags.stops.some(({ kind }) => kind === "answer")) return { kind: "none" };
  const answer = lastAnswer(tags, text);
  return answer === undefined ? { kind: "none" } : { kind: "answer", answer };
}

function taggedCall({ callText }: TagProfile, { tool, tags }: CallForm, text: string): ParsedCall {
  const inside = lastInside(tags, text)?.trim();
  if (inside !== undefined)
    return { tool, input: callText === "fenced" ? unfenced(inside) : inside };
  const fault = `write the call between ${tags.open} and ${tags.close}.`;
  return { tool, input: text.trim(), fault };
}

const unfenced = (code: string): string =>
  /^```(?:python|py)?[^\S\n]*\n([^]*?)\n?```$/i.exec(code)?.[1]?.trim() ?? code;

/** A message whose first closing tag is the answer's answers, whatever it calls after that. */
function parseMessage(tags: TagProfile, text: string): ParsedTurn {
  const { open, close } = tags.calls[0]!.tags;
  const firstCall = indexIn(text, close, 0);
  const firstAnswer = tags.answerIn === "tags" ? indexIn(text, tags.answer.close, 0) : -1;
  const answersFirst = firstAnswer >= 0 && firstAnswer < firstCall;
  if (firstCall < 0 || answersFirst) return unstopped(tags, text);
  const written = text.split(new RegExp(escape(close), "i")).slice(0, -1);
  const calls = written.map((part) => {
    const inside = lastInside({ open, close }, part + close)?.trim();
    return inside === undefined ? faulty(part) : jsonCall(tags, inside);
  });
  return { kind: "call", calls };

  function faulty(part: string): ParsedCall {
    const fault = `write the call between ${open} and ${close}.`;
    return { tool: NO_TOOL, input: part.trim(), fault };
  }
}

/** The tool of a call that names none. */
const NO_TOOL = "none";
const SHAPE = 'a call is a JSON object with "name" and "arguments", which is an object.';

function jsonCall(tags: TagProfile, text: string): ParsedCall {
  const call = parsedRecord(text);
  const { name, arguments: given = {} } = call ?? {};
  if (typeof name !== "string") return { tool: NO_TOOL, input: text, fault: SHAPE };
  if (!isRecord(given)) return { tool: name, input: text, fault: SHAPE };
  const parameter = tags.calls.find(({ tool }) => tool === name)?.textParameter;
  if (parameter === undefined) return { tool: name, input: JSON.stringify(given) };
  const value = given[parameter];
  if (typeof value === "string") return { tool: name, input: value };
  const fault = `the arguments of ${name} need "${parameter}", a text.`;
  return { tool: name, input: text, fault };
}

function parsedRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * indexOf that ignores case and keeps indices of `text` (lower-casing a text can change its
 * length).
 */
function indexIn(text: string, needle: string, from: number): number {
  const pattern = new RegExp(escape(needle), "gi");
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? -1;
}
