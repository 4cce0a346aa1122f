// How an evaluation asks a policy. `icrl` is what the policy is trained for: demonstrations in the
// prompt, tools to call. The others are the paper's baselines, which call no tool: `direct` answers
// at once, `cot` thinks first, `rag` reads what a search with the question itself finds. Their
// words are fixed, so that figures of two models can be compared; question and tags are the
// recipe's. An answer counts in every mode only where the tag profile wants it.

import { suggestion, UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import type { RolloutSettings } from "../rollout/rollout.ts";
import { ObservationWriter } from "../rollout/observation.ts";
import { blockLayout } from "../rollout/observation-layout.ts";
import { type Prompter, PromptTemplate } from "../rollout/template.ts";
import { defaultPromptText, type PromptText } from "../rollout/words.ts";
import type { Task } from "../types.ts";
import type { PromptModel } from "./prompt-model.ts";
import { promptText } from "./prompt-text.ts";

export const ANSWER_MODES = ["icrl", "direct", "cot", "rag"] as const;
export type AnswerMode = (typeof ANSWER_MODES)[number];
export type BaselineMode = Exclude<AnswerMode, "icrl">;

export function parseAnswerMode(text: string): AnswerMode {
  const found = ANSWER_MODES.find((mode) => mode === text);
  if (found !== undefined) return found;
  const hint = suggestion(text, ANSWER_MODES);
  throw new UserError(`there is no mode "${text}"`, { where: "--mode", hint, exitCode: 2 });
}

const think = "Reasoning: {open} ... {close}";
const observation = "What a search found: {open} ... {close}";
const none = { think: "", call: "", observation: "", answer: "" };

const BASELINES: Readonly<Record<BaselineMode, Pick<PromptText, "instruction" | "format">>> = {
  direct: {
    instruction:
      "Answer the question below at once: give the answer alone, short and without reasoning.",
    format: none,
  },
  cot: {
    instruction:
      "Answer the question below. Reason step by step first, then give the answer, short and " +
      "without explanation.",
    format: { ...none, think },
  },
  rag: {
    instruction:
      "Answer the question below. A search has found the text that follows it, which may help. " +
      "Give the answer, short and without explanation.",
    format: { ...none, observation },
  },
};

/** Prompts of a mode without demonstrations. */
export function baselineTemplate(
  mode: BaselineMode,
  { prompt }: Recipe,
  { tokenizer, tags, frameWithoutTools }: PromptModel,
): PromptTemplate {
  const { question } = promptText(prompt, tags);
  const { instruction, format } = BASELINES[mode];
  const { answer } = defaultPromptText(tags).format;
  const words = {
    instruction,
    format: { ...format, answer },
    examples: "",
    handOver: "",
    question,
  };
  return new PromptTemplate(tokenizer, words, tags, [], frameWithoutTools);
}

/** A closed call then ends the rollout, as one call too many. */
export function withoutTools(settings: RolloutSettings): RolloutSettings {
  return { ...settings, limits: { ...settings.limits, maxCalls: 0 } };
}

export interface Retrieved {
  readonly prompter: Prompter;
  /** Questions whose search failed: they are asked with the error in place of documents. */
  readonly failed: ReadonlySet<string>;
}

const AT_ONCE = 32; // searches in flight

/** Asks the first tool for each question once, and puts what was found below it, in the observation's tags. */
export async function retrieveForEach(
  tasks: readonly Task[],
  template: PromptTemplate,
  settings: RolloutSettings,
): Promise<Retrieved> {
  const { toolbox, tokenizer, tags } = settings;
  const { name: tool } = toolbox.tools[0]!;
  const limits = { toolbox, maxChars: tags.maxResultChars };
  const writer = new ObservationWriter(tokenizer, blockLayout(tokenizer, tags), limits);
  const material = new Map<string, string>();
  const failed = new Set<string>();
  for (let first = 0; first < tasks.length; first += AT_ONCE) {
    const questions = tasks.slice(first, first + AT_ONCE).map(({ question }) => question);
    const found = await Promise.all(questions.map((each) => toolbox.call(tool, each)));
    found.forEach(({ result: { ok, text } }, index) => {
      const question = questions[index]!;
      if (!ok) failed.add(question);
      material.set(question, writer.write([{ tool, text }]).text);
    });
  }
  const render = (question: string) => template.render(question, material.get(question)!);
  return { prompter: { render }, failed };
}
