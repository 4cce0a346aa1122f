import { expect, test } from "bun:test";
import type { Demonstration } from "../../src/types.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import { PromptTemplate } from "../../src/rollout/template.ts";
import { defaultPromptText } from "../../src/rollout/words.ts";
import { byteTokenizer } from "../helpers/byte-tokenizer.ts";

const tags = tagProfile("icrl");
const demonstrations: readonly Demonstration[] = [
  {
    id: "river",
    question: "What is the river of Norvel",
    turns: [
      { think: "I need the river.", toolCall: "river Norvel", observation: "It is the Osk." },
      { think: "It is the Osk." },
    ],
    answer: "Osk",
  },
  { id: "mayor", question: "Who is mayor?", turns: [{ think: "I know." }], answer: "Belin" },
];
const text = {
  instruction: "Solve it.",
  format: {
    think: "think: {open} .. {close}",
    call: "",
    observation: "read {open}",
    answer: "say",
  },
  examples: "Examples:",
  handOver: "Now solve the actual problem.",
  question: "Question: ",
};
const template = (shots: number) =>
  new PromptTemplate(byteTokenizer, text, tags, demonstrations.slice(0, shots));

test("a prompt is instruction, format, demonstrations, hand-over and question", () => {
  expect(template(2).render("Who was it?").text).toBe(
    [
      "Solve it.",
      "think: <think> .. </think>",
      "read <information>",
      "say",
      "",
      "Examples:",
      "Question: What is the river of Norvel?",
      "<think> I need the river. </think>",
      "<search> river Norvel </search>",
      "<information> It is the Osk. </information>",
      "<think> It is the Osk. </think>",
      "<answer> Osk </answer>",
      "",
      "Question: Who is mayor?",
      "<think> I know. </think>",
      "<answer> Belin </answer>",
      "",
      "Now solve the actual problem.",
      "Question: Who was it?",
      "",
    ].join("\n"),
  );
});

test("without demonstrations nothing announces them", () => {
  expect(template(0).render("Who was it?").text).not.toContain("Examples:");
});

test.each([
  ["Who was it", "Who was it?"],
  ["Who was it?", "Who was it?"],
  ["  Who was it? \n", "Who was it?"],
  ["Find the sum.", "Find the sum."],
  ["Find the sum of 3 and 4", "Find the sum of 3 and 4?"],
  ["def add(a, b):\n    pass", "def add(a, b):\n    pass"],
])("the question %p is asked as %p", (question, asked) => {
  expect(template(0).render(question).text.endsWith(`Question: ${asked}\n`)).toBe(true);
});

test("the tokens of all but the question do not depend on the question", () => {
  const prompts = ["a", "\n\n b?", "ä 問", "</search>"].map((each) => template(2).render(each));
  for (const { runs } of prompts) expect(runs[0]).toEqual(prompts[0]!.runs[0]!);
});

test("the runs are the text, and a token boundary lies where text alone has one", () => {
  const { runs, text: whole, numTokens } = template(2).render("Who was it?");
  const joined = runs.flatMap((run) => [...run]);
  expect(byteTokenizer.decode(joined)).toBe(whole);
  expect(joined).toEqual(byteTokenizer.encode(whole));
  expect(numTokens).toBe(joined.length);
});

test("fewer demonstrations are a prefix of more, in the order given", () => {
  const [two, one] = [template(2).preambleText, template(1).preambleText];
  const handOver = `${text.handOver}\n`;
  expect(two.startsWith(one.slice(0, -handOver.length))).toBe(true);
});

test("a chat frame goes around the one message, its tokens outside the text", () => {
  const frame = { before: [256, 257], after: [258] };
  const framed = new PromptTemplate(byteTokenizer, text, tags, [], frame).render("Who?");
  const joined = framed.runs.flatMap((run) => [...run]);
  expect(joined.slice(0, 2)).toEqual([256, 257]);
  expect(joined.at(-1)).toBe(258);
  expect(byteTokenizer.decode(joined.slice(2, -1))).toBe(framed.text);
});

test("a special token in a question stays text", () => {
  const { runs } = template(0).render("What is <|endoftext|>?");
  const joined = runs.flatMap((run) => [...run]);
  expect(byteTokenizer.decode(joined)).toContain("<|endoftext|>");
  expect(joined).not.toContain(byteTokenizer.eosIds[0]);
});

test("the default words name every tag of the profile", () => {
  const words = defaultPromptText(tags);
  const { text: whole } = new PromptTemplate(byteTokenizer, words, tags, []).render("?");
  for (const { open, close } of [tags.think!, tags.calls[0]!.tags, tags.observation, tags.answer]) {
    expect(whole).toContain(open);
    expect(whole).toContain(close);
  }
});

test("a frame stands around the message, whose ends it may trim", () => {
  const frame = { before: [1, 2], after: [3], trims: true };
  const framed = new PromptTemplate(byteTokenizer, text, tags, [], frame).render("Who?");
  const bare = template(0).render("Who?");
  expect(framed.text).toBe(bare.text.trimEnd());
  const ids = framed.runs.flatMap((run) => [...run]);
  expect(ids).toEqual([1, 2, ...byteTokenizer.encode(framed.text), 3]);
});
