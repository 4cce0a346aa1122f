// Whether a demonstration keeps to a tag profile: written out, it must read back as the same turns
// and the same answer, and the format reward must charge nothing for it. Pure. What a file of them
// may look like is data/demonstration-file.ts.

import { findFaults, isValidFormat } from "../reward/format.ts";
import { lastAnswer, ownText, type TagProfile } from "../reward/tags.ts";
import type { Demonstration } from "../types.ts";
import { DEFAULT_PROMPT_TEXT, renderDemonstration, renderQuestion } from "./template.ts";

export interface DemonstrationFault {
  /** Of the part in the file: ["turns", 1, "think"]. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export function checkDemonstration(
  tags: TagProfile,
  demonstration: Demonstration,
): readonly DemonstrationFault[] {
  const written = tagsInside(tags, demonstration);
  return written.length > 0 ? written : formatFaults(tags, demonstration);
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
  return texts.flatMap(([path, text]): DemonstrationFault[] => {
    const tag = tagIn(tags, text ?? "");
    if (tag === undefined) return [];
    return [{ path, message: `the text holds ${tag}, a tag of the profile "${tags.name}"` }];
  });
}

function tagIn({ think, call, observation, answer, stops }: TagProfile, text: string) {
  const pairs = [think, call, observation, answer];
  const all = [...pairs.flatMap(({ open, close }) => [open, close]), ...stops.map((it) => it.text)];
  return all.find((tag) => text.toLowerCase().includes(tag.toLowerCase()));
}

function formatFaults(tags: TagProfile, demonstration: Demonstration): DemonstrationFault[] {
  const question = renderQuestion(DEFAULT_PROMPT_TEXT, demonstration.question);
  const whole = renderDemonstration(DEFAULT_PROMPT_TEXT, tags, demonstration);
  const own = ownText(tags, whole.slice(question.length));
  const charged = Object.entries(findFaults(tags, own)).flatMap(([name, is]) => (is ? [name] : []));
  const faults = charged.map((name) => `the format reward would charge for it: ${name}`);
  if (lastAnswer(tags, own) !== demonstration.answer)
    faults.push("the answer reads back otherwise");
  if (faults.length === 0 && !isValidFormat(tags, own)) faults.push("no valid format");
  return faults.map((message) => ({ path: [], message }));
}
