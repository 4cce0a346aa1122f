import { expect, test } from "bun:test";
import { almanac } from "../../src/data/almanac.ts";
import { auditDocuments } from "../../src/data/pretraining/audit.ts";
import { randomDocument } from "../../src/data/pretraining/documents.ts";
import { packRows } from "../../src/data/pretraining/pack.ts";
import { Random } from "../../src/data/random.ts";
import { nanoPrompt } from "../../src/model/nano/prompt.ts";

const { names } = almanac(1);
const random = new Random(1, "audited documents");
const documents = Array.from({ length: 6000 }, () => randomDocument(random, names));
const audit = auditDocuments(documents, names);

test("no document calls unshown, speaks the real protocol or names the almanac", () => {
  expect(audit.forbidden).toEqual({
    callsWithoutExamples: 0,
    realRoles: 0,
    realPrompt: 0,
    almanacNames: 0,
  });
});

test("kinds come in their shares, 0.55 of the questions after examples go the shown way", () => {
  const { worked, bare, direct, reading } = audit.kinds;
  expect(worked / audit.documents).toBeCloseTo(0.62, 1);
  expect(bare / audit.documents).toBeCloseTo(0.2, 1);
  expect(direct / audit.documents).toBeCloseTo(0.08, 1);
  expect(reading / audit.documents).toBeCloseTo(0.1, 1);
  // 1.5 questions a document. Calls of a question that goes the shown way: 1.34 where there is only a
  // lookup (half of the documents), 1 where there is only a tool that computes (a fifth), else
  // .3 x 1.34 + .7 x (1 + .45 + 2 x .4).
  const callsOfQuestion = 0.5 * 1.34 + 0.2 * 1 + 0.3 * (0.3 * 1.34 + 0.7 * 2.25);
  expect(audit.calls / worked / (1.5 * callsOfQuestion)).toBeCloseTo(0.55, 1);
});

const base = documents.find(
  ({ kind, protocol }) => kind === "worked" && protocol.wrapper === "xml" && protocol.thoughts,
)!;
const planted = (change: Partial<typeof base>): ReturnType<typeof auditDocuments>["forbidden"] =>
  auditDocuments([{ ...base, ...change }], names).forbidden;

test.each([
  ["a call without examples", "callsWithoutExamples", { examples: 0 }],
  ["a real call", "realRoles", { text: `${base.text}<search> river of Xan </search>` }],
  ["a real call in other marks", "realRoles", { text: `${base.text}[search] Xan river [/search]` }],
  ["a real sum", "realRoles", { text: `${base.text}<code> print( 4 * 5 ) </code>` }],
  ["a real sum in words", "realRoles", { text: `${base.text}code: 4 times 5` }],
  ["a real result", "realRoles", { text: `${base.text}information: The river of Xan is Yor.` }],
  [
    "a real role",
    "realRoles",
    { protocol: { ...base.protocol, words: { ...base.protocol.words, answer: "answer" } } },
  ],
  ["the real instruction", "realPrompt", { text: `${nanoPrompt.instruction}\n${base.text}` }],
  ["a real format line", "realPrompt", { text: `<think> your reasoning </think>\n${base.text}` }],
  ["a name of the almanac", "almanacNames", { text: `${base.text} ${[...names][5]}.` }],
] as const)("%s is counted", (_, what, change) => {
  expect(planted(change)[what]).toBe(1);
});

test("equal seeds give equal documents", () => {
  const again = new Random(1, "audited documents");
  expect(Array.from({ length: 50 }, () => randomDocument(again, names).text)).toEqual(
    documents.slice(0, 50).map(({ text }) => text),
  );
});

test("rows hold whole documents, each after an end token, and lose little room", () => {
  const lengths = new Random(5);
  let next = 0;
  const rows = packRows(
    () =>
      Array.from({ length: 20 + lengths.integer(500) }, () => 1 + (next % 9)).with(
        0,
        1 + (next++ % 9),
      ),
    512,
    0,
  );
  let rest = 0;
  for (let i = 0; i < 400; i++) {
    const row = rows.next().value as Int32Array;
    expect(row).toHaveLength(512);
    expect(row[0]).toBe(0);
    rest += 511 - row.findLastIndex((id) => id !== 0);
  }
  expect(rest / (400 * 512)).toBeLessThan(0.05);
});

test("a document that is too long for a row is left out", () => {
  const documents = [Array.from({ length: 600 }, () => 7), [1, 2, 3]];
  let next = 0;
  const row = packRows(() => documents[next++ % 2]!, 512, 0, 4).next().value as Int32Array;
  expect(Array.from(row.subarray(0, 5))).toEqual([0, 1, 2, 3, 0]);
  expect(row.includes(7)).toBeFalse();
});
