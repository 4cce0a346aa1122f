// A client's prompt as token ids: text as the tokenizer's own rule begins one, ids as they are,
// messages through the model's chat template. What can't be a prompt of this policy is the
// client's error.

import { UserError } from "../../config/errors.ts";
import type { ChatMessage } from "../../model/chat-template.ts";
import { RequestError } from "../server.ts";
import type { ChatFields, ChatMessageFields, CompletionFields } from "./fields.ts";
import type { ServedPolicy } from "./served-policy.ts";

export interface ClientPrompt {
  readonly ids: readonly number[];
  /** What `echo` repeats. */
  readonly text: string;
}

export function completionPrompts(
  policy: ServedPolicy,
  { prompt }: Pick<CompletionFields, "prompt">,
): ClientPrompt[] {
  const list = typeof prompt === "string" || typeof prompt[0] === "number" ? [prompt] : prompt;
  const prompts = list as readonly (string | readonly number[])[];
  return prompts.map((each) =>
    typeof each === "string" ? ofText(policy, each) : ofIds(policy, each),
  );
}

function ofText({ tokenizer }: ServedPolicy, text: string): ClientPrompt {
  const ids = [...tokenizer.startIds, ...tokenizer.encode(text)];
  if (ids.length === 0) throw new RequestError("an empty prompt: give a token at least", "prompt");
  return { ids, text };
}

function ofIds({ tokenizer, policy }: ServedPolicy, ids: readonly number[]): ClientPrompt {
  const { vocab } = policy.config;
  const unknown = ids.find((id) => id >= vocab);
  if (unknown !== undefined) {
    throw new RequestError(`the vocabulary has ${vocab} ids, and no ${unknown}`, "prompt");
  }
  if (ids.length === 0) throw new RequestError("an empty prompt: give a token at least", "prompt");
  return { ids, text: tokenizer.decode(ids.filter((id) => id < tokenizer.vocabSize)) };
}

export function chatPrompt(
  { template, tokenizer, name }: ServedPolicy,
  fields: Pick<ChatFields, "messages" | "tools" | "chat_template_kwargs">,
): ClientPrompt {
  if (template === undefined) {
    const why = `${name} has no chat template, so it has no chat: ask /v1/completions`;
    throw new RequestError(why, "messages");
  }
  const { tools, chat_template_kwargs: variables } = fields;
  const messages = fields.messages.map(templateMessage);
  const options = {
    addGenerationPrompt: true,
    ...(tools && { tools }),
    ...(variables && { variables }),
  };
  try {
    const text = template.render(messages, options);
    return { ids: tokenizer.encode(text), text };
  } catch (error) {
    if (error instanceof UserError) throw new RequestError(error.message, "messages");
    throw error;
  }
}

/** As templates read it: content is a text, and the arguments of calls are objects. */
function templateMessage(message: ChatMessageFields): ChatMessage {
  const { content, tool_calls: calls, ...rest } = message;
  const parts =
    typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("");
  const read = calls?.map((call) => ({
    ...call,
    function: { ...call.function, arguments: argumentsOf(call.function.arguments) },
  }));
  return { ...rest, content: parts, ...(read && { tool_calls: read }) };
}

function argumentsOf(given: unknown): unknown {
  if (typeof given !== "string") return given ?? {};
  try {
    return JSON.parse(given);
  } catch {
    throw new RequestError("the arguments of a call are not JSON", "messages");
  }
}
