// Whether a demonstration keeps to a tag profile: written out, it must read back as the same turns
// and the same answer, and the format reward must charge nothing for it. Pure. What a file of them
// may look like is data/demonstration-file.ts.

import { findFaults, isValidFormat } from "../reward/format.ts";
import { lastAnswer, ownText, type TagProfile } from "../reward/tags.ts";
import { parseTurn } from "../reward/turn.ts";
import type { Demonstration, DemonstrationTurn } from "../types.ts";
import { renderDemonstration, renderQuestion } from "./demonstration-text.ts";

export interface DemonstrationFault {
  /** Of the part in the file: ["turns", 1, "think"]. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export function checkDemonstration(
  tags: TagProfile,
  demonstration: Demonstration,
): readonly DemonstrationFault[] {
  const unknown = unknownTools(tags, demonstration);
  if (unknown.length > 0) return unknown;
  const written = tagsInside(tags, demonstration);
  if (written.length > 0) return written;
  return [...callFaults(tags, demonstration), ...formatFaults(tags, demonstration)];
}

function unknownTools({ calls }: TagProfile, { turns }: Demonstration): DemonstrationFault[] {
  const known = calls.map(({ tool }) => tool);
  return turns.flatMap(({ tool }, i) => {
    if (tool === undefined || known.includes(tool)) return [];
    const message = `there is no tool "${tool}", only ${known.join(", ")}`;
    return [{ path: ["turns", i, "tool"], message }];
  });
}

/** A tag inside a text would end it there. */
function tagsInside(tags: TagProfile, { turns, answer, question }: Demonstration) {
  const texts: (readonly [path: readonly (string | number)[], text: string | undefined])[] = [
    [["question"], question],
    ...turns.flatMap(({ think, toolCall, observation }, i) => [
      [["turns", i, "think"], think] as const,
      [["turns", i, "call"], toolCall] as const,
      [["turns", i, "observation"], observation] as const,
    ]),
    [["answer"], answer],
  ];
  const all = tagTexts(tags);
  return texts.flatMap(([path, text = ""]): DemonstrationFault[] => {
    const tag = all.find((each) => text.toLowerCase().includes(each.toLowerCase()));
    if (tag === undefined) return [];
    return [{ path, message: `the text holds ${tag}, a tag of the profile "${tags.name}"` }];
  });
}

/** A brace closes a box, and much else: it counts for none. */
function tagTexts(tags: TagProfile): string[] {
  const { think, calls, callText, observation, answer, answerIn, stops } = tags;
  const pairs = [...(think === undefined ? [] : [think]), ...calls.map((form) => form.tags)];
  const answers = { tags: [answer], box_in_tags: [answer], box: [], message: [] }[answerIn];
  return [
    ...[...pairs, observation, ...answers].flatMap(({ open, close }) => [open, close]),
    ...(answerIn === "box" ? [answer.open] : []),
    ...(callText === "fenced" ? ["```"] : []),
    ...stops.map(({ text }) => text),
  ];
}

/** Each call must read back as what was written. */
function callFaults(tags: TagProfile, demonstration: Demonstration): DemonstrationFault[] {
  return demonstration.turns.flatMap((turn, i) => {
    const { toolCall } = turn;
    if (toolCall === undefined) return [];
    const path = ["turns", i, "call"];
    const parsed = parseTurn(tags, turnText(tags, turn));
    if (parsed.kind !== "call") return [{ path, message: "the call reads back as none" }];
    const { fault, input } = parsed.calls[0]!;
    if (fault !== undefined) return [{ path, message: fault }];
    return sameInput(tags, toolCall, input) ? [] : [{ path, message: "reads back otherwise" }];
  });
}

/** One turn as the policy would write it, up to its stop. */
function turnText(tags: TagProfile, turn: DemonstrationTurn): string {
  const { observation: _, ...call } = turn;
  const alone = { id: "", question: "", turns: [call, { think: "" }], answer: "" };
  const written = renderDemonstration(BARE, tags, alone).slice(renderQuestion(BARE, "").length);
  const stop = tags.stops.find(({ kind }) => kind === "call")?.text ?? "";
  return stop === tags.observation.open ? `${written}${stop}` : written;
}

/** Of two JSON texts, what they say. */
function sameInput({ callText }: TagProfile, written: string, read: string): boolean {
  if (written.trim() === read) return true;
  return callText === "json" && JSON.stringify(JSON.parse(written)) === read;
}

const BARE = { question: "" };

function formatFaults(tags: TagProfile, demonstration: Demonstration): DemonstrationFault[] {
  const question = renderQuestion(BARE, demonstration.question);
  const whole = renderDemonstration(BARE, tags, demonstration);
  const own = ownText(tags, whole.slice(question.length));
  const charged = Object.entries(findFaults(tags, own)).flatMap(([name, is]) => (is ? [name] : []));
  const faults = charged.map((name) => `the format reward would charge for it: ${name}`);
  if (lastAnswer(tags, own) !== demonstration.answer)
    faults.push("the answer reads back otherwise");
  if (faults.length === 0 && !isValidFormat(tags, own)) faults.push("no valid format");
  return faults.map((message) => ({ path: [], message }));
}
