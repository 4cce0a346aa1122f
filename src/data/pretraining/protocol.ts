// A protocol: how one pretraining document marks reasoning, lookups, results and answers, and in
// what style it writes them. Drawn anew for each document, so that the policy has to read it from
// the context.

import type { Random } from "../random.ts";
import type { Relation } from "../relations.ts";
import { inSigns, inWords, type Sum } from "../sums.ts";
import type { TagRole } from "./words.ts";
import { QUESTION_LABELS, REAL_WORDS, TAG_ROLES, TAG_WORDS } from "./words.ts";

export type Wrapper = "xml" | "square" | "braces" | "colon" | "arrow" | "hash" | "bars";

/** Which tools a document has. */
export type Kit = "lookup" | "code" | "both";

export interface Protocol {
  readonly kit: Kit;
  readonly wrapper: Wrapper;
  readonly words: Readonly<Record<TagRole, string>>;
  readonly thoughts: boolean; // some protocols go without reasoning
  readonly needs: (phrase: string) => string; // the thought before a lookup
  readonly concludes: (noun: string, name: string) => string; // the thought before the answer
  readonly query: (relation: Pick<Relation, "noun">, subject: string) => string;
  readonly code: (sum: Sum) => string; // what the computing tool is given
  readonly value: (value: string) => string; // what it says
  readonly answer: (noun: string, name: string) => string;
  readonly direct: (noun: string, name: string) => string; // an answer without the tool
  readonly questionLabel: string;
}

const NEEDS: Protocol["needs"][] = [
  (phrase) => `I need ${phrase}.`,
  (phrase) => `I need ${phrase}.`,
  (phrase) => `First ${phrase}.`,
  (phrase) => `Find ${phrase}.`,
  (phrase) => `Look up ${phrase}.`,
  (phrase) => `What is ${phrase}?`,
  (phrase) => `So ${phrase} is needed.`,
  (phrase) => `I should know ${phrase}.`,
  (phrase) => `Let me get ${phrase}.`,
];
const CONCLUDES: Protocol["concludes"][] = [
  (noun, name) => `The ${noun} is ${name}.`,
  (noun, name) => `The ${noun} is ${name}.`,
  (_, name) => `So it is ${name}.`,
  (_, name) => `It says ${name}.`,
  (_, name) => `That is ${name}.`,
  (noun, name) => `I have the ${noun}: ${name}.`,
  (_, name) => `Found ${name}.`,
];
const QUERIES: Protocol["query"][] = [
  ({ noun }, subject) => `${noun} of ${subject}`,
  ({ noun }, subject) => `${noun} of ${subject}`,
  ({ noun }, subject) => `the ${noun} of ${subject}`,
  ({ noun }, subject) => `${noun} ${subject}`,
  ({ noun }, subject) => `${subject} ${noun}`,
  ({ noun }, subject) => `${subject}, ${noun}`,
];
const CODES: Protocol["code"][] = [
  (sum) => `print( ${inSigns(sum)} )`,
  (sum) => `print( ${inSigns(sum)} )`,
  (sum) => inSigns(sum),
  (sum) => inWords(sum),
  (sum) => `result = ${inSigns(sum)}`,
  (sum) => `calc( ${inSigns(sum)} )`,
  (sum) => `= ${inSigns(sum)}`,
];
const VALUES: Protocol["value"][] = [
  (value) => value,
  (value) => value,
  (value) => value,
  (value) => `= ${value}`,
  (value) => `It is ${value}.`,
];
const ANSWERS: Protocol["answer"][] = [
  (_, name) => name,
  (_, name) => name,
  (_, name) => name,
  (_, name) => `${name}.`,
  (_, name) => `It is ${name}.`,
  (noun, name) => `The ${noun} is ${name}.`,
];

export function randomProtocol(random: Random): Protocol {
  const words = randomWords(random);
  const wrapper = random.weighted<Wrapper>([
    [10, "xml"],
    [3, "square"],
    [2, "braces"],
    [2, "colon"],
    [1, "arrow"],
    [1, "hash"],
    [1, "bars"],
  ]);
  const answer = random.pick(ANSWERS);
  const style = { wrapper, words, answer };
  return {
    ...style,
    kit: random.weighted<Kit>([
      [45, "lookup"],
      [25, "code"],
      [30, "both"],
    ]),
    thoughts: random.chance(0.93),
    needs: random.pick(NEEDS),
    concludes: random.pick(CONCLUDES),
    query: random.pick(QUERIES),
    code: random.pick(CODES),
    value: random.pick(VALUES),
    direct: randomDirect(random, style),
    questionLabel: random.pick(QUESTION_LABELS),
  };
}

function randomDirect(
  random: Random,
  style: Pick<Protocol, "wrapper" | "words" | "answer">,
): Protocol["direct"] {
  const tagged: Protocol["direct"] = (noun, name) =>
    wrap(style, "answer", style.answer(noun, name));
  return random.weighted<Protocol["direct"]>([
    [4, tagged],
    [3, (_, name) => ` ${name}`],
    [1, (_, name) => `It is ${name}.`],
    [1, (noun, name) => `The ${noun} is ${name}.`],
    [1, (_, name) => `Maybe ${name}.`],
  ]);
}

/** The marks that a document explains and uses. */
export function rolesOf({ kit, thoughts }: Protocol): readonly TagRole[] {
  const absent = { thought: !thoughts, call: kit === "code", code: kit === "lookup" };
  return TAG_ROLES.filter((role) => !(role in absent && absent[role as keyof typeof absent]));
}

/** Different words, none in the role that it has in the real protocol. */
function randomWords(random: Random): Record<TagRole, string> {
  for (;;) {
    const drawn = random.shuffle(TAG_WORDS);
    const words = Object.fromEntries(TAG_ROLES.map((role, i) => [role, drawn[i]])) as Record<
      TagRole,
      string
    >;
    if (TAG_ROLES.every((role) => words[role] !== REAL_WORDS[role])) return words;
  }
}

/** The text inside the marks of its role, without a line end. */
export function wrap(
  { wrapper, words }: Pick<Protocol, "wrapper" | "words">,
  role: TagRole,
  text: string,
): string {
  const word = words[role];
  switch (wrapper) {
    case "xml":
      return `<${word}> ${text} </${word}>`;
    case "square":
      return `[${word}] ${text} [/${word}]`;
    case "braces":
      return `{{${word}}} ${text} {{/${word}}}`;
    case "colon":
      return `${word}: ${text}`;
    case "arrow":
      return `${word} > ${text}`;
    case "hash":
      return `# ${word}\n${` ${text}`}`;
    case "bars":
      return `|${word}| ${text} |/${word}|`;
  }
}
