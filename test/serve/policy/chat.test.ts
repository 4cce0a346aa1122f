import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { diskFolder, type FolderSource } from "../../../src/model/byte-source.ts";
import { nanoFolder } from "../../../src/model/nano/folder.ts";
import { dataFolder } from "../../helpers/data-files.ts";
import { eventsOf, post, type Served, serveFolder } from "../../helpers/served.ts";
import { writeTinyFamily } from "../../helpers/tiny-family.ts";

setDefaultTimeout(60_000);

interface Entry {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: number[];
  readonly top_logprobs: Entry[];
}
interface Choice {
  readonly index: number;
  readonly message: { readonly role: string; readonly content: string };
  readonly delta: { readonly role?: string; readonly content?: string };
  readonly logprobs: { readonly content: Entry[] } | null;
  readonly finish_reason: string | null;
  readonly token_ids?: number[];
}
interface Answer {
  readonly object: string;
  readonly choices: Choice[];
  readonly prompt_token_ids?: number[];
  readonly usage?: object;
}

const TEMPLATE = `{% for tool in tools or [] %}{{ tool | tojson + "\\n" }}{% endfor %}
{%- for message in messages %}
{%- if message.role == "judge" %}{{ raise_exception("no judge here") }}{% endif %}
{{- message.role + ": " + message.content }}
{%- for call in message.tool_calls or [] %}{{ call.function.arguments.query }}{% endfor %}
{{- "\\n" }}{% endfor %}
{{- extra or "" }}{% if add_generation_prompt %}assistant:{% endif %}`;

/** nano, as if it could chat. */
function chattyNano(): FolderSource {
  const nano = nanoFolder();
  const file = "chat_template.jinja";
  return {
    ...nano,
    has: (name) => name === file || nano.has(name),
    bytes: (name) => (name === file ? new TextEncoder().encode(TEMPLATE) : nano.bytes(name)),
  };
}

let served: Served;
beforeAll(() => {
  served = serveFolder(chattyNano());
});
afterAll(() => served[Symbol.asyncDispose]());

const MESSAGES = [{ role: "user", content: "Who founded Orn?" }];
const chat = async (fields: object, on = served): Promise<Answer> => {
  const response = await post(on, "chat/completions", { messages: MESSAGES, ...fields });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
};
const promptOf = async (fields: object): Promise<string> => {
  const { prompt_token_ids } = await chat({ max_tokens: 1, return_token_ids: true, ...fields });
  return served.policy.tokenizer.decode(prompt_token_ids!);
};

test("a chat completion is the completion of the rendered messages", async () => {
  const asked = { temperature: 0, max_tokens: 4 };
  const { object, choices, usage } = await chat(asked);
  const prompt = "user: Who founded Orn?\nassistant:";
  const plain = (await (await post(served, "completions", { prompt, ...asked })).json()) as {
    choices: { text: string }[];
    usage: object;
  };
  expect(object).toBe("chat.completion");
  expect(choices[0]).toMatchObject({
    index: 0,
    message: { role: "assistant", content: plain.choices[0]!.text, refusal: null },
    finish_reason: "length",
    logprobs: null,
  });
  expect(usage).toEqual(plain.usage);
});

describe("the template sees", () => {
  const call = (given: unknown) => ({
    type: "function",
    function: { name: "search", arguments: given },
  });
  const parts = [
    { type: "text", text: "one" },
    { type: "text", text: " two" },
  ];
  const tool = { type: "function", function: { name: "search" } };
  const table: readonly [claim: string, fields: object, prompt: string][] = [
    ["parts of a text as one", { messages: [{ role: "user", content: parts }] }, "user: one two\n"],
    ["no content as none", { messages: [{ role: "user", content: null }] }, "user: \n"],
    [
      "arguments of calls as objects",
      { messages: [{ role: "assistant", tool_calls: [call('{"query":"Orn"}')] }] },
      "assistant: Orn\n",
    ],
    [
      "tools",
      { tools: [tool] },
      `{"type": "function", "function": {"name": "search"}}\nuser: Who founded Orn?\n`,
    ],
    [
      "its own variables",
      { chat_template_kwargs: { extra: "(more)" } },
      "user: Who founded Orn?\n(more)",
    ],
  ];
  test.each(table)("%s", async (_claim, fields, prompt) => {
    expect(await promptOf(fields)).toBe(`${prompt}assistant:`);
  });
});

test("without a limit an answer has at most the tokens of a turn", async () => {
  const tokens = async (fields: object): Promise<number> =>
    (await chat({ return_token_ids: true, ...fields })).choices[0]!.token_ids!.length;
  expect(await tokens({ temperature: 0 })).toBeLessThanOrEqual(32);
  expect(await tokens({ temperature: 0, max_completion_tokens: 5 })).toBe(5);
});

test("streamed pieces, joined, are the whole answer", async () => {
  const asked = {
    n: 2,
    seed: 3,
    max_tokens: 30,
    logprobs: true,
    top_logprobs: 2,
    return_token_ids: true,
  };
  const whole = await chat(asked);
  const stream = { stream: true, stream_options: { include_usage: true } };
  const response = await post(served, "chat/completions", {
    messages: MESSAGES,
    ...asked,
    ...stream,
  });
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const events = (await eventsOf(response)) as Answer[];
  expect(new Set(events.map(({ object }) => object))).toEqual(new Set(["chat.completion.chunk"]));
  expect(events.at(-1)).toMatchObject({ choices: [], usage: whole.usage! });
  const pieces = events.slice(0, -1).map(({ choices }) => choices[0]!);
  for (const choice of whole.choices) {
    const own = pieces.filter(({ index }) => index === choice.index);
    expect(own[0]!.delta).toEqual({ role: "assistant", content: "" });
    expect(own.map(({ delta }) => delta.content ?? "").join("")).toBe(choice.message.content);
    expect(own.flatMap(({ logprobs }) => logprobs!.content)).toEqual(choice.logprobs!.content);
    expect(own.flatMap(({ token_ids }) => token_ids!)).toEqual(choice.token_ids!);
    expect(own.at(-1)).toMatchObject({ delta: {}, finish_reason: choice.finish_reason });
  }
});

test("an entry of logprobs has text, bytes and the most probable beside it", async () => {
  const { choices } = await chat({
    temperature: 0,
    max_tokens: 4,
    logprobs: true,
    top_logprobs: 3,
  });
  const { content } = choices[0]!.logprobs!;
  expect(content).toHaveLength(4);
  expect(content.map(({ token }) => token).join("")).toBe(choices[0]!.message.content);
  for (const { token, logprob, bytes, top_logprobs } of content) {
    expect(Buffer.from(bytes).toString()).toBe(token);
    expect(top_logprobs).toHaveLength(3);
    expect(top_logprobs[0]).toMatchObject({ token, bytes });
    expect(top_logprobs[0]!.logprob).toBeCloseTo(logprob, 6);
  }
});

describe("a wrong request is a 4xx that says what and where:", () => {
  const image = [{ type: "image_url", image_url: { url: "" } }];
  const call = [{ type: "function", function: { name: "search", arguments: "{" } }];
  const table: readonly [fields: object, param: string | null, message: string][] = [
    [{ messages: undefined }, "messages", "expected array"],
    [{ messages: [] }, "messages", "expected array to have >=1 items"],
    [{ messages: [{ content: "a" }] }, "messages.0.role", "expected string"],
    [
      { messages: [{ role: "user", content: image }] },
      "messages.0.content",
      "a text, or a list of text parts",
    ],
    [
      { messages: [{ role: "assistant", tool_calls: call }] },
      "messages",
      "the arguments of a call are not JSON",
    ],
    [
      { messages: [{ role: "judge", content: "" }] },
      "messages",
      "the chat template fails: no judge here",
    ],
    [{ max_tokens: 0 }, "max_tokens", "expected number to be >=1"],
    [{ max_tokens: 500 }, "max_tokens", "do not fit the context of 512 tokens"],
    [{ max_tokens: 5, max_completion_tokens: 6 }, "max_tokens", "differ: give one"],
    [{ top_logprobs: 2 }, "top_logprobs", "top_logprobs needs logprobs: true"],
    [{ logprobs: 2 }, "logprobs", "expected boolean"],
    [{ tools: [{ type: "web" }] }, "tools.0.type", "function"],
    [
      { tool_choice: "required" },
      "tool_choice",
      'tool_choice is not supported: leave it out, or give "auto"',
    ],
    [{ parallel_tool_calls: false }, "parallel_tool_calls", "is not supported"],
    [{ functions: [{}] }, "functions", "is not supported"],
    [{ reasoning_effort: "low" }, "reasoning_effort", "reasoning_effort is not supported"],
    [{ response_format: { type: "json_object" } }, "response_format", "is not supported"],
    [{ prompt: "a" }, null, 'Unrecognized key: "prompt"'],
  ];
  test.each(table)("%j", async (fields, param, message) => {
    const response = await post(served, "chat/completions", { messages: MESSAGES, ...fields });
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect([response.status, error["param"]]).toEqual([400, param]);
    expect(error["message"]).toContain(message);
  });

  test("no chat template", async () => {
    await using base = serveFolder(nanoFolder());
    const response = await post(base, "chat/completions", { messages: MESSAGES });
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    const message = "tiny has no chat template, so it has no chat: ask /v1/completions";
    expect([response.status, error["message"]]).toEqual([400, message]);
  });
});

test("a real family's template with its tools", async () => {
  using folder = dataFolder();
  const path = writeTinyFamily(folder.path, "qwen2_5", ["<tool_call>{}</tool_call><|im_end|>"]);
  if (path === undefined) return; // its files can't be had here
  await using qwen = serveFolder(diskFolder(path));
  const tools = [{ type: "function", function: { name: "search", parameters: {} } }];
  const answer = await chat({ tools, max_tokens: 30, seed: 1, return_token_ids: true }, qwen);
  const prompt = qwen.policy.tokenizer.decode(answer.prompt_token_ids!);
  expect(prompt).toContain(
    '{"type": "function", "function": {"name": "search", "parameters": {}}}',
  );
  expect(prompt).toEndWith("<|im_start|>user\nWho founded Orn?<|im_end|>\n<|im_start|>assistant\n");
  const [{ message, finish_reason, token_ids }] = answer.choices as [Choice];
  expect([message.content, finish_reason]).toEqual(["<tool_call>{}</tool_call>", "stop"]);
  expect(qwen.policy.tokenizer.decode(token_ids!)).toEndWith("<|im_end|>");
}, 240_000);
