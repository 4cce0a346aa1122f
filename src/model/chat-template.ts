// A model's chat template, and the tokens that it puts around one user message. Read from
// chat_template.jinja or tokenizer_config.json, as transformers does. Not the template language
// (jinja.ts), not the prompt inside the message (rollout/template.ts).

import { UserError } from "../config/errors.ts";
import type { FolderSource } from "./byte-source.ts";
import { compileTemplate } from "./jinja.ts";
import { type Fields, fieldError, has, isRecord, parseFields } from "./json-fields.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  /** More, as the template knows it: tool_calls, reasoning_content. */
  readonly [key: string]: unknown;
}
export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
  /** JSON schemas of functions. */
  readonly tools?: readonly unknown[];
  /** Variables of this template alone: enable_thinking, date_string. */
  readonly variables?: Readonly<Record<string, unknown>>;
}
export interface ChatTemplate {
  /** Where it was read, for messages. */
  readonly file: string;
  /** Throws a UserError where the template refuses the messages or is at fault. */
  render(messages: readonly ChatMessage[], options: ChatOptions): string;
}

const JINJA_FILE = "chat_template.jinja";
const CONFIG_FILE = "tokenizer_config.json";
const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/** Undefined where the model has none: a base model. */
export function readChatTemplate(source: FolderSource): ChatTemplate | undefined {
  const config = readTokenizerConfig(source);
  const specials = config === undefined ? {} : specialTokens(config);
  if (source.has(JINJA_FILE)) {
    const text = new TextDecoder().decode(source.bytes(JINJA_FILE));
    return chatTemplate({ default: text }, `${source.name}/${JINJA_FILE}`, specials);
  }
  if (config === undefined || !has(config, "chat_template")) return undefined;
  return chatTemplate(templatesOf(config), config.file, specials);
}

export function readTokenizerConfig(source: FolderSource): Fields | undefined {
  if (!source.has(CONFIG_FILE)) return undefined;
  const text = new TextDecoder().decode(source.bytes(CONFIG_FILE));
  return parseFields(text, `${source.name}/${CONFIG_FILE}`);
}

/** The texts of bos_token and its kin; older files write an object around them. */
export function specialTokens(config: Fields): Readonly<Record<string, string>> {
  const entries = SPECIAL_TOKENS.flatMap((key) => {
    const value = config.record[key];
    const content = isRecord(value) ? value["content"] : value;
    if (content === undefined || content === null) return [];
    if (typeof content === "string") return [[key, content] as const];
    throw fieldError(config, key, "must be a string or hold one as its content");
  });
  return Object.fromEntries(entries);
}

/** By name; most models have "default" alone, some "tool_use" beside it. */
type Templates = Readonly<Record<string, string>>;

function templatesOf(config: Fields): Templates {
  const value = config.record["chat_template"];
  if (typeof value === "string") return { default: value };
  const named = Array.isArray(value) ? (value as unknown[]).filter(isNamedTemplate) : [];
  const templates = Object.fromEntries(named.map(({ name, template }) => [name, template]));
  if (templates["default"] !== undefined) return templates;
  throw fieldError(config, "chat_template", 'must be a string, or a list with one named "default"');
}

function isNamedTemplate(value: unknown): value is { name: string; template: string } {
  return (
    isRecord(value) && typeof value["name"] === "string" && typeof value["template"] === "string"
  );
}

function chatTemplate(
  templates: Templates,
  file: string,
  specials: Readonly<Record<string, string>>,
): ChatTemplate {
  const renderers = Object.fromEntries(
    Object.entries(templates).map(([name, text]) => [
      name,
      blamed(file, () => compileTemplate(text)),
    ]),
  );
  return {
    file,
    render: (messages, { tools, addGenerationPrompt, variables }) => {
      const render =
        (tools === undefined ? undefined : renderers["tool_use"]) ?? renderers["default"]!;
      const given = { messages, tools: tools ?? null, documents: null };
      const prompt = { add_generation_prompt: addGenerationPrompt };
      return blamed(file, () => render({ ...specials, ...given, ...prompt, ...variables }));
    },
  };
}

function blamed<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const why = (error as Error).message.split("\n")[0]!;
    throw new UserError(`the chat template fails: ${why}`, { where: file });
  }
}

/** The text around one user message and up to where the policy's answer begins. */
export interface ChatFrame {
  readonly before: string;
  readonly after: string;
  /** The template cuts white space at the message's ends (Llama). */
  readonly trims: boolean;
}

/** What every prompt of a model has. */
export type FrameOptions = Pick<ChatOptions, "tools" | "variables">;

const MARK = "the user's message stands here";

export function chatFrame(template: ChatTemplate, given: FrameOptions = {}): ChatFrame {
  const marked = `\n \n${MARK}\n \n`;
  const message = { role: "user", content: marked };
  const text = template.render([message], { addGenerationPrompt: true, ...given });
  const trims = !text.includes(marked);
  const [before = "", after = ""] = text.split(trims ? MARK : marked);
  const times = text.split(MARK).length - 1;
  if (times === 1) return { before, after, trims };
  const seen = times === 0 ? "does not show" : `shows ${times} times`;
  throw new UserError(`the chat template ${seen} a user's message`, { where: template.file });
}

/** The text around what tools answer: after the assistant's message that called, before its next. */
export interface ToolFrame {
  readonly before: string;
  /** Of two answers. */
  readonly between: string;
  readonly after: string;
}

const CALLED = "the assistant's message ends here";
const ANSWERS = ["a tool's first answer", "a tool's second answer"] as const;

/** Throws UserError where the template does not show what tools answer. */
export function toolFrame(template: ChatTemplate, given: FrameOptions = {}): ToolFrame {
  const messages = [
    { role: "user", content: MARK },
    { role: "assistant", content: CALLED },
    ...ANSWERS.map((content) => ({ role: "tool", content })),
  ];
  const text = template.render(messages, { addGenerationPrompt: true, ...given });
  const [before, between, after] = textsAfter(text, [CALLED, ...ANSWERS]);
  const isShown = [CALLED, ...ANSWERS].every((mark) => text.split(mark).length === 2);
  if (isShown && before !== undefined && between !== undefined && after !== undefined) {
    return { before, between, after };
  }
  const what = "the chat template does not show what tools answer";
  throw new UserError(what, { where: template.file });
}

/** Whether the template writes a call with `tag`. */
export function writesCallsWith(template: ChatTemplate, tag: string): boolean {
  const call = { type: "function", function: { name: "f", arguments: {} } };
  const calling = { role: "assistant", content: "", tool_calls: [call] };
  const messages = [{ role: "user", content: MARK }, calling];
  return template.render(messages, { addGenerationPrompt: false }).includes(tag);
}

/** The text after each mark, up to the next one. */
function textsAfter(text: string, marks: readonly string[]): (string | undefined)[] {
  return marks.map((mark, i) => text.split(mark)[1]?.split(marks[i + 1] ?? mark)[0]);
}
