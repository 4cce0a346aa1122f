// What a client may ask of a policy: the bodies of OpenAI's completions and chat completions, and a
// few fields that other servers add. null means absent, as clients send it. What would change the
// answer and is not done is refused by name, unless it has the value that changes nothing; so is
// what nobody knows. Not here: doing any of it.

import { z } from "zod";

const MAX_TOP = 20;
const MAX_CHOICES = 128;
const MAX_PROMPTS = 2048;

const optional = <T extends z.ZodType>(type: T) =>
  type.nullish().transform((given) => given ?? undefined);
const withDefault = <T extends z.ZodType>(type: T, value: z.output<T>) =>
  type.nullish().transform((given) => given ?? value);

/** Refused but for values that change nothing; the first of them is named. */
function only(...values: readonly unknown[]) {
  const changesNothing = (given: unknown): boolean =>
    given === undefined || given === null || values.some((value) => Bun.deepEquals(value, given));
  const error = ({ path = [] }: { readonly path?: PropertyKey[] | undefined }): string =>
    `${path.join(".")} is not supported: leave it out, or give ${JSON.stringify(values[0])}`;
  return z.unknown().refine(changesNothing, { error }).optional();
}

const UNSUPPORTED = {
  top_p: only(1),
  top_k: only(-1, 0),
  min_p: only(0),
  frequency_penalty: only(0),
  presence_penalty: only(0),
  repetition_penalty: only(1),
  logit_bias: only({}),
  response_format: only({ type: "text" }),
};
/** What says something of the client alone. */
const anything = z.unknown().optional();
const HARMLESS = {
  user: anything,
  metadata: anything,
  store: anything,
  service_tier: anything,
  safety_identifier: anything,
  prompt_cache_key: anything,
};

const text = z.string().min(1, "an empty text");
const NO_TEMPERATURE = "0 takes the most probable token; else 0.01 to 100";
const temperature = z.number().refine((t) => t === 0 || (t >= 0.01 && t <= 100), NO_TEMPERATURE);
const top = z.int().min(0).max(MAX_TOP);
const tokenId = z.int().min(0);

const common = {
  ...UNSUPPORTED,
  ...HARMLESS,
  model: optional(z.string()),
  temperature: withDefault(temperature, 1),
  n: withDefault(z.int().min(1).max(MAX_CHOICES), 1),
  stop: optional(z.union([text, z.array(text)], "a text, or a list of texts; none empty")),
  seed: optional(z.int()),
  stream: withDefault(z.boolean(), false),
  stream_options: optional(
    z.strictObject({
      include_usage: withDefault(z.boolean(), false),
      include_obfuscation: only(false),
    }),
  ),
  /** Also the ids of prompt and completion. */
  return_token_ids: withDefault(z.boolean(), false),
};

const prompt = z.union(
  [
    z.string(),
    z.array(z.string()).min(1).max(MAX_PROMPTS),
    z.array(tokenId).min(1),
    z.array(z.array(tokenId)).min(1).max(MAX_PROMPTS),
  ],
  `a text, a list of token ids, or a list of either (${MAX_PROMPTS} at most)`,
);

export const completionFields = z
  .strictObject({
    ...common,
    prompt,
    max_tokens: withDefault(z.int().min(0), 16),
    /** How many of the most probable tokens beside each one. */
    logprobs: optional(top),
    echo: withDefault(z.boolean(), false),
    best_of: anything,
    suffix: only(""),
  })
  .check(({ value, issues }) => {
    const refuse = (param: string, message: string): void =>
      void issues.push({ code: "custom", input: value, path: [param], message });
    const { n, best_of: best } = value;
    if (best !== undefined && best !== null && best !== n) {
      refuse("best_of", "best_of is not supported: leave it out, or give it the value of n");
    }
    if (value.max_tokens === 0 && !value.echo) refuse("max_tokens", "0 needs echo");
  });
export type CompletionFields = z.output<typeof completionFields>;

const part = z.strictObject({
  type: z.literal("text", "text is all that is read"),
  text: z.string(),
});
const toolCall = z.looseObject({
  function: z.looseObject({ name: z.string(), arguments: z.unknown() }),
});
const message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(part)], "a text, or a list of text parts").nullish(),
  tool_calls: optional(z.array(toolCall)),
});

export const chatFields = z
  .strictObject({
    ...common,
    messages: z.array(message).min(1),
    max_tokens: optional(z.int().min(1)),
    max_completion_tokens: optional(z.int().min(1)),
    logprobs: withDefault(z.boolean(), false),
    top_logprobs: optional(top),
    /** Given to the chat template; what the policy writes is not read as calls. */
    tools: optional(z.array(z.looseObject({ type: z.literal("function") }))),
    tool_choice: only("auto"),
    parallel_tool_calls: only(true),
    functions: only([]),
    function_call: only("none"),
    modalities: only(["text"]),
    reasoning_effort: only(null),
    /** Variables of the chat template, such as enable_thinking. */
    chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
  })
  .check(({ value, issues }) => {
    const refuse = (param: string, message: string): void =>
      void issues.push({ code: "custom", input: value, path: [param], message });
    const { max_tokens: a, max_completion_tokens: b } = value;
    if (a !== undefined && b !== undefined && a !== b) {
      refuse("max_tokens", "max_tokens and max_completion_tokens differ: give one");
    }
    if (value.top_logprobs !== undefined && !value.logprobs) {
      refuse("top_logprobs", "top_logprobs needs logprobs: true");
    }
  });
export type ChatFields = z.output<typeof chatFields>;
export type ChatMessageFields = ChatFields["messages"][number];
