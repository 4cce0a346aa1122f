// Pretraining documents for the embedded policy. Each has its own names, its own facts and its own
// protocol, and teaches one of four things:
//   worked   1-4 examples that use a tool, then 1-2 questions that go the same way with probability
//            0.55, else are answered directly: following what the context shows, writing queries,
//            copying results, chaining two lookups
//   bare     a protocol is described but never shown; every question is answered with a guess
//   direct   questions and answers without any tool
//   reading  a few facts and questions that they answer
// What they never hold: a tool call without an example before it, a word of the real protocol in
// its real role, the real instruction, a name of the almanac.

import { FreshNames } from "../names.ts";
import type { Random } from "../random.ts";
import type { Chain } from "../relations.ts";
import { factOf, ONE_HOP, phraseOf, questionOf, RELATIONS, TWO_HOP } from "../relations.ts";
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
const TWO_HOP_SHARE = 0.4;

/** A question with everything that was made up to answer it. */
interface Puzzle {
  readonly chain: Chain;
  readonly hops: readonly string[]; // asked about, between, answer
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
  const introduction = random.chance(0.2) ? `${random.pick(EXAMPLE_INTRODUCTIONS)}\n` : "";
  for (let i = 0; i < examples; i++)
    sections.push(`${i === 0 ? introduction : ""}${workedAnswer(scene, randomPuzzle(scene))}`);
  const ready = random.chance(0.6) ? `${random.pick(READY_LINES)}\n` : "";
  const questions = 1 + random.integer(2);
  let calls = 0;
  for (let i = 0; i < questions; i++) {
    const follows = random.chance(FOLLOWING);
    const puzzle = randomPuzzle(scene);
    if (follows) calls += puzzle.chain.length;
    const answered = follows ? workedAnswer(scene, puzzle) : directAnswer(scene, puzzle);
    sections.push(i === 0 ? ready + answered : answered);
  }
  return finish(scene, "worked", sections, examples, calls);
}

function bareDocument(scene: Scene): PretrainingDocument {
  const { random, protocol } = scene;
  const sections = [headerOf(protocol, random)];
  const ready = random.chance(0.6) ? `${random.pick(READY_LINES)}\n` : "";
  const questions = 1 + random.integer(3);
  for (let i = 0; i < questions; i++)
    sections.push(`${i === 0 ? ready : ""}${directAnswer(scene, randomPuzzle(scene))}`);
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
  const puzzles = Array.from({ length: 1 + random.integer(3) }, () => randomPuzzle(scene));
  const distractors = Array.from({ length: 1 + random.integer(3) }, () => {
    const relation = random.pick(RELATIONS);
    return factOf(relation, scene.names.next(), scene.names.next());
  });
  const facts = random.shuffle([...puzzles.flatMap(factsOf), ...distractors]);
  const asked = random.shuffle(puzzles).map((puzzle) => directAnswer(scene, puzzle));
  return finish(scene, "reading", [facts.join(random.pick([" ", "\n"])), ...asked]);
}

function randomPuzzle({ random, names }: Scene): Puzzle {
  const chain = random.pick(random.chance(TWO_HOP_SHARE) ? TWO_HOP : ONE_HOP);
  return { chain, hops: Array.from({ length: chain.length + 1 }, () => names.next()) };
}

const factsOf = ({ chain, hops }: Puzzle): string[] =>
  chain.map((relation, i) => factOf(relation, hops[i] as string, hops[i + 1] as string));
const answerOf = ({ hops }: Puzzle): string => hops.at(-1) as string;
const nounOf = ({ chain }: Puzzle): string => chain.at(-1)?.noun as string;

const asked = ({ protocol }: Scene, { chain, hops }: Puzzle): string =>
  `${protocol.questionLabel} ${questionOf(chain, hops[0] as string)}\n`;

const directAnswer = (scene: Scene, puzzle: Puzzle): string =>
  asked(scene, puzzle) + scene.protocol.direct(nounOf(puzzle), answerOf(puzzle));

function workedAnswer(scene: Scene, puzzle: Puzzle): string {
  const { protocol } = scene;
  const facts = factsOf(puzzle);
  const steps = puzzle.chain.flatMap((relation, i) => {
    const subject = puzzle.hops[i] as string;
    return [
      ...thought(protocol, protocol.needs(phraseOf([relation], subject))),
      wrap(protocol, "call", protocol.query(relation, subject)),
      wrap(protocol, "observation", facts[i] as string),
    ];
  });
  const last = thought(protocol, protocol.concludes(nounOf(puzzle), answerOf(puzzle)));
  const answer = wrap(protocol, "answer", protocol.answer(nounOf(puzzle), answerOf(puzzle)));
  return asked(scene, puzzle) + [...steps, ...last, answer].join("\n");
}

const thought = (protocol: Protocol, text: string): string[] =>
  protocol.thoughts ? [wrap(protocol, "thought", text)] : [];
