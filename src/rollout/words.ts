// What a prompt says around the examples and the question, and the words it has where a recipe has
// none of its own: they follow the tag profile and its tools. Not here: how a prompt is put together
// (template.ts).

import type { CallForm, TagPair, TagProfile } from "../reward/tags.ts";

/** Lines, without line ends; an empty one is left out. `{open}` and `{close}` stand for the tags. */
export interface PromptText {
  readonly instruction: string;
  readonly format: FormatLines;
  /** Before the first example; left out without examples. */
  readonly examples: string;
  /** Between the examples and the actual question. */
  readonly handOver: string;
  /** Before each question: "Question: ". */
  readonly question: string;
}
/** A reminder for each tag. */
export interface FormatLines {
  readonly think: string;
  /** Of each tool that has no line of its own in `calls`, by its name. */
  readonly call: string;
  readonly calls?: Readonly<Record<string, string>>;
  readonly observation: string;
  readonly answer: string;
}

const SEARCH_ONLY =
  "Answer the question below. Reason first, each time you learn something new. When you lack a " +
  "fact, look it up with a search; its result is shown to you. Search as often as you need. As " +
  "soon as you know the answer, give it, short and without explanation.";
const ANY_TOOLS =
  "Answer the question below. Reason first, each time you learn something new. Use a tool where " +
  "it helps; its result is shown to you. Use it as often as you need. As soon as you know the " +
  "answer, give it, short and without explanation.";

const CALLS: Readonly<Record<string, string>> = {
  search: "Search: {open} a query {close}",
  python: "Python: {open} code {close}",
};

export function defaultPromptText(tags: TagProfile): PromptText {
  const names = tags.calls.map(({ tool }) => tool);
  const searchesOnly = names.every((name) => name === "search");
  return {
    instruction: searchesOnly ? SEARCH_ONLY : ANY_TOOLS,
    format: defaultFormat(tags, searchesOnly),
    examples: "These examples show how it is done:",
    handOver: "Now solve the actual problem.",
    question: "Question: ",
  };
}

function defaultFormat(tags: TagProfile, searchesOnly: boolean): FormatLines {
  const result = searchesOnly ? "The search result" : "The result";
  const calls = tags.calls.map(({ tool }) => [tool, defaultCall(tags, tool)] as const);
  return {
    think: tags.think === undefined ? "" : "Reasoning: {open} ... {close}",
    call: "",
    calls: Object.fromEntries(calls),
    observation: tags.chat ? "" : `${result} then appears as: {open} ... {close}`,
    answer: defaultAnswer(tags),
  };
}

/** Chat templates say themselves how tools are called. */
function defaultCall({ chat, name }: TagProfile, tool: string): string {
  if (chat) return "";
  if (name === "torl") return "Python: {open} ... {close}, and ```output on a line of its own";
  if (name === "retool") return "Python: {open} ```python ... ``` {close}";
  return CALLS[tool] ?? `${tool}: {open} ... {close}`;
}

function defaultAnswer({ answerIn }: TagProfile): string {
  if (answerIn === "message") return "";
  const inside =
    answerIn === "box_in_tags" ? " \\boxed{...} " : answerIn === "box" ? "..." : " ... ";
  return `Final answer: {open}${inside}{close}`;
}

/** The lines that are not empty, in order, with the profile's tags in them. */
export function formatLines(format: FormatLines, tags: TagProfile): string[] {
  const call = ({ tool, tags: pair }: CallForm) =>
    filled(format.calls?.[tool] ?? format.call, pair);
  const lines = [
    filled(format.think, tags.think),
    ...new Set(tags.calls.map(call)),
    filled(format.observation, tags.observation),
    filled(format.answer, tags.answer),
  ];
  return lines.filter((line) => line !== "");
}

/** A line that shows tags which the profile has not is none. */
function filled(line: string, tags: TagPair | undefined): string {
  if (tags === undefined) return /\{(?:open|close)\}/.test(line) ? "" : line;
  return line.replaceAll("{open}", () => tags.open).replaceAll("{close}", () => tags.close);
}
