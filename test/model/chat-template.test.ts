// Real templates against transformers (golden/chat.py); broken and odd ones against their message.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { diskFolder, type FolderSource, memoryFolder } from "../../src/model/byte-source.ts";
import { chatFrame, type ChatMessage, readChatTemplate } from "../../src/model/chat-template.ts";
import { frameTokens, openTokenizer } from "../../src/model/tokenizer-folder.ts";
import golden from "../golden/chat.json";
import { fixture, REAL_MODELS } from "../helpers/fixtures.ts";

setDefaultTimeout(60_000); // a real vocabulary takes a second to read, more on a busy machine

interface Case {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
  readonly prompt?: boolean;
  readonly variables?: Readonly<Record<string, unknown>>;
}

for (const model of REAL_MODELS) {
  const folder = fixture(model);
  describe.skipIf(folder === undefined)(
    `the chat template of ${model} (needs npm's registry once)`,
    () => {
      for (const [name, sha] of Object.entries(golden.models[model].rendered)) {
        test(`renders ${name} as transformers does`, () => {
          const { messages, tools, prompt, variables } = (golden.cases as Record<string, Case>)[
            name
          ]!;
          const text = readChatTemplate(diskFolder(folder!))!.render(messages, {
            ...(tools !== undefined && { tools }),
            addGenerationPrompt: prompt ?? true,
            variables: { ...variables, date_string: golden.date },
          });
          expect(text).toHaveLength(sha.length);
          expect(Bun.SHA256.hash(text, "hex")).toBe(sha.sha256);
        });
      }
      test("its frame around a message has the ids that transformers gives the whole", () => {
        const tokenizer = openTokenizer(diskFolder(folder!));
        const { before, after } = frameTokens(diskFolder(folder!), tokenizer);
        const ids = [...before, ...tokenizer.encodePlain(golden.asked), ...after];
        expect(ids).toEqual(golden.models[model].asked);
      });
    },
  );
}

const folderOf = (files: Record<string, string>): FolderSource =>
  memoryFolder(
    "model",
    Object.fromEntries(
      Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)]),
    ),
  );
const withConfig = (config: object): FolderSource =>
  folderOf({ "tokenizer_config.json": JSON.stringify(config) });
const ask = [{ role: "user", content: "q" }] as const;

test("without a template there is none", () => {
  expect(readChatTemplate(folderOf({}))).toBeUndefined();
  expect(readChatTemplate(withConfig({ chat_template: null }))).toBeUndefined();
});

test("chat_template.jinja comes before tokenizer_config.json, whose special tokens it sees", () => {
  const source = folderOf({
    "chat_template.jinja": "{{ bos_token }}{{ eos_token }}{{ messages[0].content }}",
    "tokenizer_config.json": JSON.stringify({
      chat_template: "other",
      bos_token: "<s>",
      eos_token: { content: "</s>", lstrip: false },
    }),
  });
  expect(readChatTemplate(source)!.render(ask, { addGenerationPrompt: true })).toBe("<s></s>q");
});

test("of several templates, tools choose tool_use", () => {
  const chat_template = [
    { name: "default", template: "plain" },
    { name: "tool_use", template: "tools" },
  ];
  const template = readChatTemplate(withConfig({ chat_template }))!;
  expect(template.render(ask, { addGenerationPrompt: true })).toBe("plain");
  expect(template.render(ask, { addGenerationPrompt: true, tools: [] })).toBe("tools");
});

test("a frame is what stands before and after the message, and whether it is trimmed", () => {
  const frame = (template: string) =>
    chatFrame(readChatTemplate(withConfig({ chat_template: template }))!);
  expect(frame("<{{ messages[0].content }}>")).toEqual({ before: "<", after: ">", trims: false });
  expect(frame("< {{ messages[0].content | trim }}\n>")).toEqual({
    before: "< ",
    after: "\n>",
    trims: true,
  });
});

const REFUSED: readonly [string, unknown, string][] = [
  ["a template that is no text", 7, "chat_template must be a string"],
  ["no default among several", [{ name: "rag", template: "" }], 'a list with one named "default"'],
  ["a template with a fault", "{% if %}", "the chat template fails: "],
  [
    "a template that hides the message",
    "hello",
    "the chat template does not show a user's message",
  ],
  ["one that shows it twice", "{{ messages }}{{ messages[0].content }}", "shows 2 times"],
  ["one that refuses it", "{{ raise_exception('no users') }}", "the chat template fails: no users"],
];
for (const [name, chat_template, message] of REFUSED) {
  test(`${name} is refused in one line that names the file`, () => {
    let line = "";
    try {
      chatFrame(readChatTemplate(withConfig({ chat_template }))!);
    } catch (error) {
      line = (error as { describe(): string }).describe();
    }
    expect(line).toContain("model/tokenizer_config.json");
    expect(line).toContain(message);
    expect(line).not.toContain("\n");
  });
}
