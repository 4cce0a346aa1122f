import { describe, expect, test } from "bun:test";
import { type AskScreen, AskWatch, jsonAsk, peopleAsk } from "../../../src/cli/screen/ask.ts";
import { outputOf } from "../../../src/cli/screen/screen.ts";
import { tagProfile } from "../../../src/reward/tags.ts";
import type { ToolCall } from "../../../src/types.ts";
import { byteTokenizer, EOS } from "../../helpers/byte-tokenizer.ts";

const found: ToolCall = {
  tool: "search",
  input: "Orn",
  result: { ok: true, text: "Orn: a town" },
  latencyMs: 3.21,
  attempts: 1,
};
const failed: ToolCall = {
  ...found,
  result: { ok: false, reason: "timeout", text: "no result", detail: "no answer\nin 5000 ms" },
  latencyMs: 5000.4,
  attempts: 3,
};

/** What a whole small rollout writes. */
function written(make: (write: (text: string) => void) => AskScreen): string {
  let text = "";
  const screen = make((part) => void (text += part));
  const watch = new AskWatch(screen, byteTokenizer, tagProfile("icrl"));
  const sample = (words: string): void =>
    byteTokenizer.encode(words).forEach((id) => watch.onToken(id));
  const asked = { question: "Where is é?", tools: ["search"], temperature: 1, seed: 1 };
  const figures = { turns: 2, toolCalls: 2, promptTokens: 9, sampledTokens: 30, seconds: 1.5 };
  screen.onStart({ policy: "runs/a@stage1", step: 7, shots: 1, ...asked });
  sample("<think> Größe \u001b[2J </think>\n<search> Orn </search>");
  const seen = { text: "\n<information> Orn: a town </information>\n", tokens: [] };
  watch.onCalls([found, failed], seen);
  sample("So\n<answer> 日本 </answer>");
  watch.onToken(EOS);
  watch.endTurn();
  const end = { ...figures, observationTokens: 5, tokensPerSecond: 61.4 };
  screen.onEnd({ finish: "answer", answer: "日本", ...end });
  return text;
}
const people = (stream: { isTTY?: boolean }, env = {}): string =>
  written((write) => peopleAsk(outputOf({ write, ...stream }, env)));

const PLAIN = `runs/a@stage1 (step 7), 1 demonstration, tools: search
<think> Größe \ufffd[2J </think>
<search> Orn </search>
search: 3.2 ms
search failed after 5000 ms, 3 attempts: timeout, no answer in 5000 ms
> <information> Orn: a town </information>
So
<answer> 日本 </answer>

ended by answer: 2 turns, 2 tool calls, 30 tokens in 1.50 s, 61 tokens/s
日本
`;

test("without a terminal, and with NO_COLOR, a tool's lines are marked by a gutter", () => {
  for (const text of [people({}), people({ isTTY: true }, { NO_COLOR: "1" })]) {
    expect(text).toBe(PLAIN);
  }
});

test("in a terminal, colours tell thoughts, calls, answer and observation apart", () => {
  const text = people({ isTTY: true });
  const painted = text
    .split("\u001b[")
    .map((part) => /^(\d+)m([^]*)/.exec(part) ?? [part, "0", part]);
  const inInk = (ink: number): string =>
    painted.map(([, code, part]) => (code === `${ink}` ? part : "")).join("");
  expect(inInk(36)).toBe("<think> Größe \ufffd[2J </think>");
  expect(inInk(35)).toBe("<search> Orn </search>");
  expect(inInk(33)).toBe("<information> Orn: a town </information>");
  expect(inInk(32)).toBe("<answer> 日本 </answer>");
  expect(new Set(painted.map(([, code]) => code))).toEqual(new Set(["0", "32", "33", "35", "36"]));
});

describe("JSON lines", () => {
  const lines = written(jsonAsk)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

  test("have types in order: start, text, tool, end", () => {
    const types = lines.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    expect(types).toEqual(["start", "text", "tool", "text", "end"]);
    expect(lines[0]).toMatchObject({ policy: "runs/a@stage1", step: 7, shots: 1, seed: 1 });
    expect(lines.at(-1)).toMatchObject({
      finish: "answer",
      answer: "日本",
      tokens_per_second: 61.4,
    });
  });

  test("hold whole characters, and the text as it was sampled", () => {
    const texts = lines.filter(({ type }) => type === "text");
    const of = (kind: string): string =>
      texts.map((line) => (line["kind"] === kind ? (line["text"] as string) : "")).join("");
    expect(of("thought")).toBe("<think> Größe \u001b[2J </think>");
    expect(of("answer")).toBe("<answer> 日本 </answer>");
    expect(of("observation")).toContain("Orn: a town");
    expect(texts.map(({ text }) => text).join("")).not.toContain("\ufffd");
  });

  test("tell a tool's latency and failure", () => {
    const [first, second] = lines.filter(({ type }) => type === "tool");
    expect(first).toMatchObject({ tool: "search", input: "Orn", ok: true, latency_ms: 3.21 });
    expect(second).toMatchObject({ ok: false, reason: "timeout", attempts: 3, latency_ms: 5000.4 });
  });
});

test("without an answer it says so", () => {
  let text = "";
  const screen = peopleAsk(outputOf({ write: (part: string) => void (text += part) }, {}));
  const figures = {
    turns: 0,
    toolCalls: 0,
    promptTokens: 9,
    sampledTokens: 0,
    observationTokens: 0,
  };
  screen.onEnd({
    finish: "context",
    answer: undefined,
    ...figures,
    seconds: 0,
    tokensPerSecond: 0,
  });
  expect(text).toBe(
    "\nended by context: 0 turns, 0 tool calls, 0 tokens in 0.00 s, 0 tokens/s\nno answer\n",
  );
});
