// The tag profiles by name, each made for the tools of a recipe. Data only: what reads by them is in
// tags.ts and turn.ts.
//   icrl, search-r1   <think> <search> <information> <answer>, a tag of its own for each tool
//   retool            arXiv 2504.11536: fenced Python in <code>, <interpreter>, a box in <answer>
//   torl              arXiv 2503.23383: fenced Python, ```output, the answer in the last box
//   hermes            JSON in <tool_call>, <tool_response> by the model's chat template, <answer>
//   hermes-message    the same, and the answer is all that the last message says
// ReTool's and ToRL's thoughts have no tags; neither shows more of an output than a few hundred
// characters.

import { UserError } from "../config/errors.ts";
import type { CallForm, Stop, TagPair, TagProfile, ToolTag, Wrap } from "./tags.ts";

export interface ProfileMaker {
  /** Where nobody says which tools there are. */
  readonly usualTool: ToolTag;
  make(tools: readonly ToolTag[]): Omit<TagProfile, "name">;
}

const pair = (word: string): TagPair => ({ open: `<${word}>`, close: `</${word}>` });
const inLine = ({ open, close }: TagPair): Wrap => ({ before: `${open} `, after: ` ${close}` });
const onLines = ({ open, close }: TagPair): Wrap => ({ before: `${open}\n`, after: `\n${close}` });

const search: ToolTag = { name: "search", tag: "search", textParameter: "query" };
export const PYTHON: ToolTag = { name: "python", tag: "code", textParameter: "code" };

const THINK = pair("think");
const ANSWER = pair("answer");
const INFORMATION = pair("information");
const RESERVED = ["think", "answer", "information"];
const answerStop: Stop = { kind: "answer", text: ANSWER.close };

const tagged: ProfileMaker = {
  usualTool: search,
  make(tools) {
    requireDifferentTags(tools);
    const calls = tools.map((tool) => formOf(tool, pair(tool.tag), inLine(pair(tool.tag))));
    const stops = calls.map((form): Stop => stopOf(form, form.tags.close));
    return {
      think: THINK,
      calls,
      callText: "plain",
      observation: INFORMATION,
      observationWrap: inLine(INFORMATION),
      answer: ANSWER,
      answerIn: "tags",
      stops: [...stops, answerStop],
      chat: false,
    };
  },
};

const retool: ProfileMaker = {
  usualTool: PYTHON,
  make(tools) {
    const tags = pair("code");
    const wrap = { before: `${tags.open}\n\`\`\`python\n`, after: `\n\`\`\`\n${tags.close}` };
    const call = formOf(onlyTool("retool", tools), tags, wrap);
    return {
      calls: [call],
      callText: "fenced",
      observation: pair("interpreter"),
      observationWrap: onLines(pair("interpreter")),
      maxResultChars: 400,
      answer: ANSWER,
      answerIn: "box_in_tags",
      stops: [stopOf(call, tags.close), answerStop],
      chat: false,
    };
  },
};

const torl: ProfileMaker = {
  usualTool: PYTHON,
  make(tools) {
    const wrap = { before: "```python\n", after: "\n```" };
    const call = formOf(onlyTool("torl", tools), { open: "```python", close: "```" }, wrap);
    const observation = { open: "```output", close: "```" };
    return {
      calls: [call],
      callText: "fenced",
      observation,
      observationWrap: onLines(observation),
      maxResultChars: 256,
      answer: { open: "\\boxed{", close: "}" },
      answerIn: "box",
      stops: [stopOf(call, observation.open)],
      chat: false,
    };
  },
};

const hermes = (answerIn: "tags" | "message"): ProfileMaker => ({
  usualTool: search,
  make(tools) {
    const tags = pair("tool_call");
    return {
      calls: tools.map((tool) => formOf(tool, tags, onLines(tags))),
      callText: "json",
      observation: pair("tool_response"),
      observationWrap: onLines(pair("tool_response")),
      answer: ANSWER,
      answerIn,
      stops: [],
      chat: true,
    };
  },
});

export const PROFILES: Readonly<Record<string, ProfileMaker>> = {
  icrl: tagged,
  "search-r1": tagged,
  retool,
  torl,
  hermes: hermes("tags"),
  "hermes-message": hermes("message"),
};

function formOf({ name, textParameter }: ToolTag, tags: TagPair, wrap: Wrap): CallForm {
  return { tool: name, tags, wrap, ...(textParameter !== undefined && { textParameter }) };
}

const stopOf = ({ tool }: CallForm, text: string): Stop => ({ kind: "call", tool, text });

/** Their tags are of one tool. */
function onlyTool(profile: string, tools: readonly ToolTag[]): ToolTag {
  if (tools.length === 1) return tools[0]!;
  const names = tools.map(({ name }) => name).join(", ");
  const hint = "icrl and hermes can call several";
  throw new UserError(`the tag profile "${profile}" calls one tool, not ${names}`, {
    where: "tags",
    hint,
  });
}

function requireDifferentTags(tools: readonly ToolTag[]): void {
  const words = [...RESERVED, ...tools.map(({ tag }) => tag.toLowerCase())];
  const twice = words.findIndex((word, index) => words.indexOf(word) < index);
  if (twice < 0) return;
  const { name, tag } = tools[twice - RESERVED.length]!;
  const hint = `give it another: --set tool.${name}.tag=${name === tag ? "word" : name}`;
  throw new UserError(`the tag <${tag}> has two meanings`, { where: `tool.${name}.tag`, hint });
}
