// The order of tags that Search-R1 v0.3 asks for: (think, call, observation)* think, answer, with
// nothing but white space between them. Judged is the whole response, with what tools returned; an
// observation tag that the policy wrote itself is a fault, which Search-R1's own code does not
// notice. A protocol whose thoughts have no tags has no such order, and never keeps it. Not here:
// points for it (profiles.ts).

import { countOf, escape, type TagProfile } from "./tags.ts";

type State =
  | "start"
  | "in_think"
  | "after_think"
  | "in_call"
  | "after_call"
  | "in_observation"
  | "after_observation"
  | "in_answer"
  | "end";

const steps: Readonly<Record<string, Readonly<Partial<Record<State, State>>>>> = {
  "<think>": { start: "in_think", after_observation: "in_think" },
  "</think>": { in_think: "after_think" },
  "<call>": { after_think: "in_call" },
  "</call>": { in_call: "after_call" },
  "<observation>": { after_call: "in_observation" },
  "</observation>": { in_observation: "after_observation" },
  "<answer>": { after_think: "in_answer" },
  "</answer>": { in_answer: "end" },
};

export function isValidSequence(tags: TagProfile, response: string, policyText: string): boolean {
  const { open, close } = tags.observation;
  if (countOf(open, policyText) + countOf(close, policyText) > 0) return false;
  const words = wordsOf(tags);
  let state: State | undefined = "start";
  for (const part of response.split(anyOf([...words.keys()]))) {
    const word = words.get(part.toLowerCase());
    if (word !== undefined) state = steps[word]![state];
    else if (part.trim() !== "" && !state.startsWith("in_")) state = undefined;
    if (state === undefined) return false;
  }
  return state === "end";
}

/** What each tag text is, in lower case. Tags of several tools are all calls. */
function wordsOf(tags: TagProfile): Map<string, string> {
  const pairs = [
    ...(tags.think === undefined ? [] : [{ word: "think", pair: tags.think }]),
    ...tags.calls.map((call) => ({ word: "call", pair: call.tags })),
    { word: "observation", pair: tags.observation },
    { word: "answer", pair: tags.answer },
  ];
  return new Map(
    pairs.flatMap(({ word, pair: { open, close } }) => [
      [open.toLowerCase(), `<${word}>`] as const,
      [close.toLowerCase(), `</${word}>`] as const,
    ]),
  );
}

/** Splitting by it keeps what it matched. */
function anyOf(texts: readonly string[]): RegExp {
  return new RegExp(`(${texts.map(escape).join("|")})`, "gi");
}
