// A demonstration as the prompt shows it: the question, then every turn in the tags of a profile, as
// a policy that keeps to the profile would write it. Pure. Not here: which demonstrations
// (curriculum/demonstrations.ts).

import type { Demonstration, DemonstrationTurn } from "../types.ts";
import { type CallForm, callForm, type TagProfile, type Wrap } from "../reward/tags.ts";
import type { PromptText } from "./words.ts";

/**
 * Question and whole trajectory, ending in a line end. Throws UserError where a turn calls a tool
 * that the profile was not made for.
 */
export function renderDemonstration(
  prompt: Pick<PromptText, "question">,
  tags: TagProfile,
  { question, turns, answer }: Demonstration,
): string {
  const isAnswer = (index: number): boolean =>
    tags.answerIn === "message" && index === turns.length - 1;
  const written = turns.map((turn, index) => (isAnswer(index) ? "" : renderTurn(tags, turn)));
  return renderQuestion(prompt, question) + written.join("") + renderAnswer(tags, answer);
}

/** With a question mark where a line ends in the middle of nothing: data sets leave it out. */
export function renderQuestion(prompt: Pick<PromptText, "question">, question: string): string {
  const asked = question.trim();
  const isBare = !asked.includes("\n") && /[\p{L}\p{N}]$/u.test(asked);
  return `${prompt.question}${asked}${isBare ? "?" : ""}\n`;
}

function renderTurn(tags: TagProfile, turn: DemonstrationTurn): string {
  const { think, tool, toolCall, observation } = turn;
  const thought = tags.think === undefined ? `${think}\n` : inTags(tags.think, think);
  const call = toolCall === undefined ? "" : renderCall(tags, callForm(tags, tool), toolCall);
  const result = observation === undefined ? "" : inWrap(tags.observationWrap, observation);
  return thought + call + result;
}

function renderCall({ callText }: TagProfile, form: CallForm, input: string): string {
  return inWrap(form.wrap, callText === "json" ? jsonCall(form, input) : input);
}

/** As chat templates write it, with Python's spaces. */
function jsonCall({ tool, textParameter }: CallForm, input: string): string {
  const given = textParameter === undefined ? input : pythonJson({ [textParameter]: input });
  return `{"name": ${JSON.stringify(tool)}, "arguments": ${given}}`;
}

function pythonJson(value: Readonly<Record<string, string>>): string {
  const entries = Object.entries(value).map(
    ([key, text]) => `${JSON.stringify(key)}: ${JSON.stringify(text)}`,
  );
  return `{${entries.join(", ")}}`;
}

function renderAnswer({ answerIn, answer: tags }: TagProfile, answer: string): string {
  switch (answerIn) {
    case "tags":
      return inTags(tags, answer);
    case "box_in_tags":
      return `${tags.open}\\boxed{${answer}}${tags.close}\n`;
    case "box":
      return `${tags.open}${answer}${tags.close}\n`;
    case "message":
      return `${answer}\n`;
  }
}

const inTags = ({ open, close }: { open: string; close: string }, text: string): string =>
  `${open} ${text} ${close}\n`;
const inWrap = ({ before, after }: Wrap, text: string): string => `${before}${text}${after}\n`;
