// Pretraining documents for the embedded policy. Each has its own names, its own facts and its own
// protocol, and teaches one of four things:
//   worked   1-4 examples that use tools, then 1-2 questions that go the same way with probability
//            0.55, else are answered directly: following what the context shows, writing queries and
//            sums, copying results, chaining lookups, computing with what was found
//   bare     a protocol is described but never shown; every question is answered with a guess, half
//            of them after a thought
//   direct   questions and answers without any tool
//   reading  a few facts and questions that they answer
// A document has a lookup, a tool that computes, or both. A direct answer to a sum is a guess, too.
// What they never hold: a tool call without an example before it, a word of the real protocol in
// its real role, the real instruction, a name of the almanac.

import { FreshNames } from "../names.ts";
import type { Random } from "../random.ts";
import type { Chain } from "../relations.ts";
import { factOf, ONE_HOP, phraseOf, questionOf, RELATIONS, TWO_HOP } from "../relations.ts";
import type { Operand, Sum } from "../sums.ts";
import {
  inWords,
  lookupsOf,
  NUMBER_RELATIONS,
  questionOfSum,
  randomNumber,
  randomSum,
  valueOf,
} from "../sums.ts";
import { headerOf } from "./header.ts";
import type { Protocol } from "./protocol.ts";
import { randomProtocol, wrap } from "./protocol.ts";
import { EXAMPLE_INTRODUCTIONS, READY_LINES } from "./words.ts";

export type DocumentKind = "worked" | "bare" | "direct" | "reading";
export interface PretrainingDocument {
  readonly kind: DocumentKind;
  readonly protocol: Protocol;
  readonly examples: number; // worked examples that use a tool
  readonly calls: number; // tool calls written after the examples
  readonly text: string;
}

const MIXTURE: readonly (readonly [number, DocumentKind])[] = [
  [62, "worked"],
  [20, "bare"],
  [8, "direct"],
  [10, "reading"],
];
const FOLLOWING = 0.55;
const HEADER = 0.85;
/**
 * A line before the examples, and one before the questions after them. What tells a question that
 * is answered with a guess from an example, in a document without examples, is the latter.
 */
const INTRODUCED = 0.5;
const READY = 0.75;
const THOUGHTFUL = 0.5;
const TWO_HOP_SHARE = 0.5;
const NUMBER_SHARE = 0.1;

/** One fact, and what has to be asked for it. */
interface Lookup {
  readonly relation: { readonly noun: string };
  readonly subject: string;
  readonly object: string | number;
}
/** A question with everything that was made up to answer it. */
interface Puzzle {
  readonly question: string;
  readonly lookups: readonly Lookup[];
  readonly sum?: Sum; // what has to be computed then
  readonly noun: string; // what the answer is
  readonly answer: string;
  readonly guess: string; // a direct answer
}
interface Scene {
  readonly random: Random;
  readonly names: FreshNames;
  readonly protocol: Protocol;
}

/** `taken`: names that must not occur, those of the almanac. */
export function randomDocument(random: Random, taken: ReadonlySet<string>): PretrainingDocument {
  const scene = { random, names: new FreshNames(random, taken), protocol: randomProtocol(random) };
  const kind = random.weighted(MIXTURE);
  switch (kind) {
    case "worked":
      return workedDocument(scene);
    case "bare":
      return bareDocument(scene);
    case "direct":
      return directDocument(scene);
    case "reading":
      return readingDocument(scene);
  }
}

const finish = (
  { protocol }: Scene,
  kind: DocumentKind,
  sections: string[],
  examples = 0,
  calls = 0,
): PretrainingDocument => ({
  kind,
  protocol,
  examples,
  calls,
  text: `${sections.join("\n\n")}\n\n`,
});

function workedDocument(scene: Scene): PretrainingDocument {
  const { random, protocol } = scene;
  const sections = random.chance(HEADER) ? [headerOf(protocol, random)] : [];
  const examples = random.weighted([
    [20, 1],
    [28, 2],
    [32, 3],
    [20, 4],
  ] as const);
  const introduction = random.chance(INTRODUCED) ? `${random.pick(EXAMPLE_INTRODUCTIONS)}\n` : "";
  for (let i = 0; i < examples; i++)
    sections.push(`${i === 0 ? introduction : ""}${workedAnswer(scene, randomPuzzle(scene))}`);
  const ready = random.chance(READY) ? `${random.pick(READY_LINES)}\n` : "";
  const questions = 1 + random.integer(2);
  let calls = 0;
  for (let i = 0; i < questions; i++) {
    const follows = random.chance(FOLLOWING);
    const puzzle = randomPuzzle(scene);
    if (follows) calls += puzzle.lookups.length + (puzzle.sum === undefined ? 0 : 1);
    const answered = follows ? workedAnswer(scene, puzzle) : guessedAnswer(scene, puzzle);
    sections.push(i === 0 ? ready + answered : answered);
  }
  return finish(scene, "worked", sections, examples, calls);
}

function bareDocument(scene: Scene): PretrainingDocument {
  const { random, protocol } = scene;
  const sections = [headerOf(protocol, random)];
  const ready = random.chance(READY) ? `${random.pick(READY_LINES)}\n` : "";
  const questions = 1 + random.integer(3);
  for (let i = 0; i < questions; i++)
    sections.push(`${i === 0 ? ready : ""}${guessedAnswer(scene, randomPuzzle(scene))}`);
  return finish(scene, "bare", sections);
}

function directDocument(scene: Scene): PretrainingDocument {
  const questions = 2 + scene.random.integer(4);
  return finish(
    scene,
    "direct",
    Array.from({ length: questions }, () => directAnswer(scene, randomPuzzle(scene))),
  );
}

function readingDocument(scene: Scene): PretrainingDocument {
  const { random } = scene;
  const read = () => lookupPuzzle(scene);
  const puzzles = Array.from({ length: 1 + random.integer(3) }, read);
  const distractors = Array.from({ length: 1 + random.integer(3) }, () => {
    const relation = random.pick(RELATIONS);
    return factOf(relation, scene.names.next(), scene.names.next());
  });
  const facts = random.shuffle([...puzzles.flatMap(factsOf), ...distractors]);
  const asked = random.shuffle(puzzles).map((puzzle) => directAnswer(scene, puzzle));
  return finish(scene, "reading", [facts.join(random.pick([" ", "\n"])), ...asked]);
}

/** As far as the tools of the document go. */
function randomPuzzle(scene: Scene): Puzzle {
  const { random, protocol } = scene;
  if (protocol.kit === "code") return sumPuzzle(scene, 0);
  if (protocol.kit === "lookup" || random.chance(0.3)) return lookupPuzzle(scene);
  return sumPuzzle(scene, random.weighted([[15, 0], [45, 1], [40, 2]] as const));
}

function lookupPuzzle({ random, names }: Scene): Puzzle {
  if (random.chance(NUMBER_SHARE)) return numberPuzzle({ random, names });
  const chain: Chain = random.pick(random.chance(TWO_HOP_SHARE) ? TWO_HOP : ONE_HOP);
  const hops = Array.from({ length: chain.length + 1 }, () => names.next());
  const lookups = chain.map((relation, i) => ({
    relation,
    subject: hops[i] as string,
    object: hops[i + 1] as string,
  }));
  const answer = hops.at(-1) as string;
  const question = questionOf(chain, hops[0] as string);
  return { question, lookups, noun: chain.at(-1)?.noun as string, answer, guess: answer };
}

function numberPuzzle(scene: Pick<Scene, "random" | "names">): Puzzle {
  const { number, lookup } = unknownNumber(scene);
  const { relation, subject } = lookup;
  const answer = String(number);
  const question = `What is ${phraseOf([relation], subject)}?`;
  const lookups = [{ relation, subject, object: number }];
  return { question, lookups, noun: relation.noun, answer, guess: answer };
}

function sumPuzzle(scene: Scene, numLookups: 0 | 1 | 2): Puzzle {
  const { random } = scene;
  const unknown = Array.from({ length: numLookups }, () => unknownNumber(scene));
  const known = Array.from({ length: 2 - numLookups }, () => ({ number: randomNumber(random) }));
  const [first, second] = random.shuffle<Operand>([...unknown, ...known]) as [Operand, Operand];
  const sum = randomSum(random, first, second);
  const lookups = lookupsOf(sum).map(({ lookup, number }) => ({ ...lookup, object: number }));
  return {
    question: questionOfSum(sum),
    lookups,
    sum,
    noun: "result",
    answer: String(valueOf(sum)),
    guess: String(randomNumber(random) * randomNumber(random)),
  };
}

function unknownNumber({ random, names }: Pick<Scene, "random" | "names">): Required<Operand> {
  const relation = random.pick(Object.values(NUMBER_RELATIONS));
  return { number: randomNumber(random), lookup: { relation, subject: names.next() } };
}

const factsOf = ({ lookups }: Puzzle): string[] => lookups.map(factOfLookup);
const factOfLookup = ({ relation, subject, object }: Lookup): string =>
  factOf(relation, subject, object);

const asked = ({ protocol }: Scene, { question }: Puzzle): string =>
  `${protocol.questionLabel} ${question}\n`;

const directAnswer = (scene: Scene, puzzle: Puzzle): string =>
  asked(scene, puzzle) + scene.protocol.direct(puzzle.noun, puzzle.guess);

/** A thought must not by itself mean that a tool is called next. */
function guessedAnswer(scene: Scene, puzzle: Puzzle): string {
  const { random, protocol } = scene;
  if (!random.chance(THOUGHTFUL)) return directAnswer(scene, puzzle);
  const { sum, lookups, noun, guess } = puzzle;
  const [first] = lookups;
  const phrase = first === undefined ? inWords(sum!) : phraseOf([first.relation], first.subject);
  const answer = wrap(protocol, "answer", protocol.answer(noun, guess));
  return asked(scene, puzzle) + [...thought(protocol, protocol.needs(phrase)), answer].join("\n");
}

function workedAnswer(scene: Scene, puzzle: Puzzle): string {
  const { protocol } = scene;
  const { noun, answer, lookups, sum } = puzzle;
  const lines = [
    ...lookups.flatMap((lookup) => lookUp(protocol, lookup)),
    ...(sum === undefined ? [] : compute(protocol, sum)),
    ...thought(protocol, protocol.concludes(noun, answer)),
    wrap(protocol, "answer", protocol.answer(noun, answer)),
  ];
  return asked(scene, puzzle) + lines.join("\n");
}

const lookUp = (protocol: Protocol, lookup: Lookup): string[] => [
  ...thought(protocol, protocol.needs(phraseOf([lookup.relation], lookup.subject))),
  wrap(protocol, "call", protocol.query(lookup.relation, lookup.subject)),
  wrap(protocol, "observation", factOfLookup(lookup)),
];

const compute = (protocol: Protocol, sum: Sum): string[] => [
  ...thought(protocol, protocol.needs(inWords(sum))),
  wrap(protocol, "code", protocol.code(sum)),
  wrap(protocol, "observation", protocol.value(String(valueOf(sum)))),
];

const thought = (protocol: Protocol, text: string): string[] =>
  protocol.thoughts ? [wrap(protocol, "thought", text)] : [];
