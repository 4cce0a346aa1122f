// Counts over generated documents what pretraining must not hold, and what it holds. Where it can
// it reads the finished texts, so that a mistake of the generator shows whatever it meant to write.

import { nanoPrompt } from "../../model/nano/prompt.ts";
import { RELATIONS } from "../relations.ts";
import { NUMBER_RELATIONS } from "../sums.ts";
import type { DocumentKind, PretrainingDocument } from "./documents.ts";
import { wrap } from "./protocol.ts";
import { REAL_WORDS, TAG_ROLES, type TagRole } from "./words.ts";

export interface Audit {
  readonly documents: number;
  readonly kinds: Readonly<Record<DocumentKind, number>>;
  /** Tool calls after the examples. */
  readonly calls: number;
  /** All of these must be zero. */
  readonly forbidden: {
    readonly callsWithoutExamples: number;
    /** A word of the real protocol in its real role. */
    readonly realRoles: number;
    /** A line of the real prompt. */
    readonly realPrompt: number;
    readonly almanacNames: number;
  };
}

export function auditDocuments(
  documents: readonly PretrainingDocument[],
  almanacNames: ReadonlySet<string>,
): Audit {
  const count = (test: (document: PretrainingDocument) => boolean): number =>
    documents.filter(test).length;
  const ofKind = (kind: DocumentKind): number => count((document) => document.kind === kind);
  return {
    documents: documents.length,
    kinds: {
      worked: ofKind("worked"),
      bare: ofKind("bare"),
      direct: ofKind("direct"),
      reading: ofKind("reading"),
    },
    calls: documents.reduce((sum, { calls }) => sum + calls, 0),
    forbidden: {
      callsWithoutExamples: count((document) => document.examples === 0 && holdsCall(document)),
      realRoles: count(holdsRealRole),
      realPrompt: count(({ text }) => REAL_LINES.some((line) => text.includes(line))),
      almanacNames: count(({ text }) =>
        capitalisedWords(text).some((word) => almanacNames.has(word)),
      ),
    },
  };
}

const inRealTags = (line: string, word: string): string =>
  line.replace("{open}", `<${word}>`).replace("{close}", `</${word}>`);
const REAL_LINES = [
  nanoPrompt.instruction,
  nanoPrompt.handOver,
  inRealTags(nanoPrompt.format.think, REAL_WORDS.thought),
  inRealTags(nanoPrompt.format.call, REAL_WORDS.call),
  nanoPrompt.toolsInstruction,
  inRealTags(nanoPrompt.code, REAL_WORDS.code),
  inRealTags(nanoPrompt.result, REAL_WORDS.answer),
  inRealTags(nanoPrompt.format.observation, REAL_WORDS.observation),
  inRealTags(nanoPrompt.format.answer, REAL_WORDS.answer),
];

const capitalisedWords = (text: string): readonly string[] => text.match(/\b[A-Z][a-z]+\b/g) ?? [];

/** Whether a line after the first question begins with the mark of a call or a result. */
function holdsCall({ text, protocol }: PretrainingDocument): boolean {
  const asked = text.slice(text.indexOf(`${protocol.questionLabel} `));
  const mark = (role: TagRole): string => wrap(protocol, role, "\0").split("\0")[0] as string;
  return (["call", "code", "observation"] as const).some((role) =>
    asked.includes(`\n${mark(role)}`),
  );
}

const NOUNS = [...RELATIONS, ...Object.values(NUMBER_RELATIONS)].map(({ noun }) => noun).join("|");
/** `code`, whatever the marks around it, before a sum. */
const REAL_CODE = new RegExp(
  `\\b${REAL_WORDS.code}[^\\w\\n]+(?:(?:print|result|calc)[^\\w\\n]+)?\\d+ (?:\\*|times)`,
);
/** `search` or `information`, whatever the marks around it, before a query or a fact. */
const REAL_CALL = new RegExp(
  `\\b${REAL_WORDS.call}\\W+(?:(?:the )?(?:${NOUNS})\\b|(?!The\\b)[A-Z]\\w+,? (?:${NOUNS})\\b)`,
);
const REAL_RESULT = new RegExp(`\\b${REAL_WORDS.observation}\\W+The (?:${NOUNS}) of\\b`);

const holdsRealRole = ({ text, protocol }: PretrainingDocument): boolean =>
  TAG_ROLES.some((role) => protocol.words[role] === REAL_WORDS[role]) ||
  REAL_CALL.test(text) ||
  REAL_CODE.test(text) ||
  REAL_RESULT.test(text);
