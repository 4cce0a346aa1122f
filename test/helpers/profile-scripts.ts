// How a policy that keeps to a tag profile writes calls and answers, and what it reads then: for
// tests that run over all profiles. Written out by hand, as the profiles' papers have it.

import type { ToolFrame } from "../../src/model/chat-template.ts";
import { tagProfile, type TagProfile, type ToolTag } from "../../src/reward/tags.ts";
import type { RolloutSettings } from "../../src/rollout/rollout.ts";
import { EOS } from "./byte-tokenizer.ts";
import { settings } from "./rollouts.ts";
import { type LIMITS, toolboxOf, toolOf } from "./tools.ts";

export interface ProfileScript {
  readonly tags: TagProfile;
  /** Names of the tools that it calls. */
  readonly tools: readonly string[];
  call(tool: string, input: string): string;
  answer(text: string): string;
  /** What stands after the policy's turn, which ended at its stop or with its end token. */
  observation(outputs: readonly string[]): string;
  /** A turn whose call can't be read. */
  readonly broken: string;
  /** Whether each turn ends with the end token. */
  readonly endsTurns: boolean;
}

const SEARCH: ToolTag = { name: "search", tag: "search", textParameter: "query" };
const PYTHON: ToolTag = { name: "python", tag: "code", textParameter: "code" };
const BOTH = [SEARCH, PYTHON];

const tagged = (name: string): ProfileScript => ({
  tags: tagProfile(name, BOTH),
  tools: ["search", "python"],
  call: (tool, input) =>
    tool === "search" ? `<search>${input}</search>` : `<code>${input}</code>`,
  answer: (text) => `<answer> ${text} </answer>`,
  observation: ([output]) => `\n<information> ${output} </information>\n`,
  broken: "oops </code>",
  endsTurns: false,
});

const hermes = (name: string): ProfileScript => ({
  tags: tagProfile(name, BOTH),
  tools: ["search", "python"],
  call(name, input) {
    const given = { name, arguments: { [name === "python" ? "code" : "query"]: input } };
    return `<tool_call>\n${JSON.stringify(given)}\n</tool_call>`;
  },
  answer: (text) => (name === "hermes" ? `<answer>${text}</answer>` : text),
  observation(outputs) {
    const blocks = outputs.map((each) => `<tool_response>\n${each}\n</tool_response>`);
    return `\n<user>${blocks.join("\n")}<|endoftext|>\n<assistant>`;
  },
  broken: "<tool_call>search Osk</tool_call>",
  endsTurns: true,
});

export const PROFILE_SCRIPTS: readonly ProfileScript[] = [
  tagged("icrl"),
  tagged("search-r1"),
  {
    tags: tagProfile("retool", [PYTHON]),
    tools: ["python"],
    call: (_tool, code) => `<code>\n\`\`\`python\n${code}\n\`\`\`\n</code>`,
    answer: (text) => `<answer>\\boxed{${text}}</answer>`,
    observation: ([output]) => `\n<interpreter>\n${output}\n</interpreter>\n`,
    broken: "oops </code>",
    endsTurns: false,
  },
  {
    tags: tagProfile("torl", [PYTHON]),
    tools: ["python"],
    call: (_tool, code) => `\`\`\`python\n${code}\n\`\`\`\n\`\`\`output`,
    answer: (text) => `So it is $\\boxed{${text}}$.`,
    observation: ([output]) => `\n${output}\n\`\`\`\n`,
    broken: "oops ```output",
    endsTurns: false,
  },
  hermes("hermes"),
  hermes("hermes-message"),
];

/** As a chat template over the byte tokenizer has it, whose one end token ends messages. */
const FRAME: ToolFrame = {
  before: "<|endoftext|>\n<user><tool_response>\n",
  between: "\n</tool_response>\n<tool_response>\n",
  after: "\n</tool_response><|endoftext|>\n<assistant>",
};

export type Answers = (tool: string, input: string) => string;

/** Rollouts of the profile, with tools that answer as said. */
export function profileSettings(
  { tags, tools }: ProfileScript,
  answers: Answers,
  limits: Partial<typeof LIMITS> = {},
): RolloutSettings {
  const made = tools.map((name) => toolOf((input) => answers(name, input), name));
  const roomy = { maxCalls: 4, maxTurnTokens: 400, maxNewTokens: 1500, context: 6000 };
  const toolbox = toolboxOf(made, { maxObservationTokens: 300, ...limits });
  return settings({ tags, toolbox, toolFrame: FRAME, limits: roomy, stopTexts: [] });
}

/** With the end token after each turn that has one. */
export function turnTokens({ endsTurns }: ProfileScript, ids: readonly number[]): number[] {
  return endsTurns ? [...ids, EOS] : [...ids];
}
