import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { nanoFolder } from "../../../src/model/nano/folder.ts";
import { openFolder } from "../../../src/model/model-folder.ts";
import { scoreIds } from "../../../src/model/score.ts";
import { diskFolder } from "../../../src/model/byte-source.ts";
import { dataFolder } from "../../helpers/data-files.ts";
import { writeTinyModel } from "../../helpers/tiny-model.ts";
import { openCpu } from "../../helpers/engine.ts";
import { eventsOf, post, type Served, serveFolder } from "../../helpers/served.ts";

setDefaultTimeout(60_000);

interface Logprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[] | null;
  readonly text_offset: number[];
}
interface Choice {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: string | null;
  readonly logprobs: Logprobs | null;
  readonly token_ids: number[];
  readonly prompt_token_ids: number[];
}
interface Answer {
  readonly choices: Choice[];
  readonly usage:
    { prompt_tokens: number; completion_tokens: number; total_tokens: number } | undefined;
}

let served: Served;
beforeAll(() => {
  served = serveFolder(nanoFolder());
});
afterAll(() => served[Symbol.asyncDispose]());

const PROMPT = "Question: Who founded the town of Orn?\n<think> I";
const complete = async (fields: object, on = served): Promise<Answer> => {
  const response = await post(on, "completions", { model: "tiny", prompt: PROMPT, ...fields });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
};
const streamed = async (fields: object): Promise<Answer[]> => {
  const body = { model: "tiny", prompt: PROMPT, stream: true, ...fields };
  return (await eventsOf(await post(served, "completions", body))) as Answer[];
};
const ids = (text: string): number[] => served.policy.tokenizer.encode(text);

async function greedyIds(prompt: string, maxTokens: number): Promise<number[]> {
  using sequence = served.engine.open([Int32Array.from(ids(prompt))], maxTokens);
  const { eosIds } = served.policy.tokenizer;
  const common = { temperature: 0, seed: 9, group: 1, sample: 2 };
  const shouldStop = (id: number): boolean => eosIds.includes(id);
  return [...(await sequence.generate({ maxTokens, ...common, shouldStop })).ids_N];
}

test("temperature 0 gives what the engine gives, with usage and a reason", async () => {
  const { choices, usage } = await complete({
    temperature: 0,
    max_tokens: 20,
    return_token_ids: true,
  });
  const wanted = await greedyIds(PROMPT, 20);
  expect(choices[0]).toMatchObject({
    index: 0,
    token_ids: wanted,
    prompt_token_ids: ids(PROMPT),
    text: served.policy.tokenizer.decode(wanted),
    finish_reason: "length",
    logprobs: null,
  });
  const [prompt_tokens, completion_tokens] = [ids(PROMPT).length, 20];
  expect(usage).toEqual({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + 20 });
});

test("a text, ids, and lists of either are the same prompt", async () => {
  const forms = [PROMPT, [PROMPT], ids(PROMPT), [ids(PROMPT)]];
  const texts = await Promise.all(
    forms.map(async (prompt) => (await complete({ prompt, seed: 3 })).choices[0]!.text),
  );
  expect(new Set(texts).size).toBe(1);
  const both = await complete({ prompt: [PROMPT, "Question: "], temperature: 0, n: 2 });
  expect(both.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  const [a, b, c, d] = both.choices.map(({ text }) => text);
  expect([a, c]).toEqual([b, d]);
  expect(a).not.toBe(c);
});

test("echo and logprobs of max_tokens 0 are the scores of the prompt", async () => {
  const { choices, usage } = await complete({ echo: true, max_tokens: 0, logprobs: 1 });
  using folder = openFolder(nanoFolder());
  using device = openCpu();
  const wanted = scoreIds(folder, ids(PROMPT), { device, dtype: "f32", grad: false }).logprobs;
  const { text, logprobs, finish_reason } = choices[0]!;
  const { tokens, token_logprobs, top_logprobs, text_offset } = logprobs!;
  expect([text, finish_reason, usage!.completion_tokens]).toEqual([PROMPT, "length", 0]);
  expect(tokens.join("")).toBe(PROMPT);
  expect(text_offset.map((at, i) => PROMPT.startsWith(tokens[i]!, at))).not.toContain(false);
  expect([token_logprobs[0], top_logprobs![0]]).toEqual([null, null]);
  token_logprobs.slice(1).forEach((each, i) => expect(each).toBeCloseTo(wanted[i + 1]!, 4));
  for (const [i, top] of top_logprobs!.slice(1).entries()) {
    const best = Math.max(...Object.values(top!));
    expect(best).toBeGreaterThanOrEqual(token_logprobs[i + 1]!);
    expect(top![tokens[i + 1]!]).toBe(token_logprobs[i + 1]!);
  }
});

test("a harness tells a greedy continuation by the greatest of the most probable", async () => {
  const continuation = await greedyIds(PROMPT, 6);
  const whole = [...ids(PROMPT), ...continuation];
  const asked = { echo: true, max_tokens: 1, logprobs: 1, temperature: 0, seed: 1234 };
  const isGreedy = async (prompt: number[]): Promise<boolean> => {
    const { token_logprobs, top_logprobs } = (await complete({ prompt: [prompt], ...asked }))
      .choices[0]!.logprobs!;
    expect(token_logprobs).toHaveLength(prompt.length + 1);
    const [own, best] = [token_logprobs, top_logprobs!].map((list) =>
      list.slice(ids(PROMPT).length, -1),
    );
    return own!.every((each, i) => each === Math.max(...Object.values(best![i]!)));
  };
  expect(await isGreedy(whole)).toBe(true);
  expect(await isGreedy([...whole.slice(0, -1), (whole.at(-1)! + 1) % 1000])).toBe(false);
});

test("logprobs are those of the sampled tokens, beside the most probable", async () => {
  const { choices } = await complete({
    logprobs: 3,
    seed: 5,
    max_tokens: 12,
    echo: true,
    return_token_ids: true,
  });
  const { token_ids, logprobs } = choices[0]!;
  using folder = openFolder(nanoFolder());
  using device = openCpu();
  const all = [...ids(PROMPT), ...token_ids];
  const wanted = scoreIds(folder, all, { device, dtype: "f32", grad: false }).logprobs;
  logprobs!.token_logprobs
    .slice(1)
    .forEach((each, i) => expect(each).toBeCloseTo(wanted[i + 1]!, 4));
  const sizes = logprobs!.top_logprobs!.slice(1).map((top) => Object.keys(top!).length);
  for (const size of sizes) expect([3, 4]).toContain(size);
  const none = await complete({ logprobs: 0, max_tokens: 2 });
  expect(none.choices[0]!.logprobs).toMatchObject({ top_logprobs: null });
});

test("a seed names the answer, n gives different ones, and batches change nothing", async () => {
  const asked = { n: 4, seed: 11, max_tokens: 24 };
  const [first, again, other] = await Promise.all([
    complete(asked),
    complete(asked),
    complete({ ...asked, seed: 12 }),
  ]);
  const texts = ({ choices }: Answer): string[] => choices.map(({ text }) => text);
  expect(texts(again)).toEqual(texts(first));
  expect(texts(other)).not.toEqual(texts(first));
  expect(new Set(texts(first)).size).toBeGreaterThan(1);
  const crowd = Array.from({ length: 32 }, (_, seed) => complete({ n: 1, seed, max_tokens: 24 }));
  const alone = await complete({ n: 1, seed: 7, max_tokens: 24 });
  expect(texts((await Promise.all(crowd))[7]!)).toEqual(texts(alone));
});

test("a stop text ends the answer and is not in it, as a text and in a list", async () => {
  const asked = { temperature: 0, max_tokens: 40, logprobs: 0 };
  const free = (await complete(asked)).choices[0]!.text;
  const stopText = free.slice(12, 18);
  for (const stop of [stopText, ["nowhere", stopText]]) {
    const { text, finish_reason, logprobs } = (await complete({ ...asked, stop })).choices[0]!;
    expect([text, finish_reason]).toEqual([free.slice(0, free.indexOf(stopText)), "stop"]);
    expect(logprobs!.tokens.join("")).toContain(stopText);
  }
});

test("an end token ends the answer, stands among the ids and not in the text", async () => {
  using folder = dataFolder();
  await using ending = serveFolder(diskFolder(writeTinyModel(folder.path))); // half its ids end
  const asked = { max_tokens: 40, seed: 1, n: 4, return_token_ids: true, logprobs: 0 };
  const { choices } = await complete({ prompt: "Who is", ...asked }, ending);
  const { tokenizer } = ending.policy;
  for (const { token_ids, text, finish_reason, logprobs } of choices) {
    expect(finish_reason).toBe("stop");
    expect(token_ids.map((id) => tokenizer.eosIds.includes(id)).indexOf(true)).toBe(
      token_ids.length - 1,
    );
    expect(text).toBe(tokenizer.decode(token_ids.slice(0, -1)));
    expect(logprobs!.token_logprobs).toHaveLength(token_ids.length);
  }
});

describe("streamed pieces, joined, are the whole answer", () => {
  const table: readonly [claim: string, fields: object][] = [
    ["one", {}],
    ["several", { n: 3 }],
    ["of several prompts", { prompt: [PROMPT, "Question: "], n: 2 }],
    ["with a stop text", { stop: ["</think>", "e"] }],
    ["with logprobs and ids", { logprobs: 2, return_token_ids: true }],
    ["with echo", { echo: true, logprobs: 1 }],
    ["of echo alone", { echo: true, logprobs: 0, max_tokens: 0 }],
  ];
  test.each(table)("%s", async (_claim, fields) => {
    const asked = { max_tokens: 30, seed: 4, ...fields };
    const whole = await complete(asked);
    const events = await streamed({ ...asked, stream_options: { include_usage: true } });
    expect(events.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    const pieces = events.slice(0, -1).map(({ choices }) => choices[0]!);
    for (const choice of whole.choices) {
      const own = pieces.filter(({ index }) => index === choice.index);
      expect(own.map(({ text }) => text).join("")).toBe(choice.text);
      expect(own.map((piece) => piece.finish_reason).filter((reason) => reason !== null)).toEqual([
        choice.finish_reason!,
      ]);
      expect(own.flatMap(({ token_ids = [] }) => token_ids)).toEqual(choice.token_ids ?? []);
      if (choice.logprobs === null) continue;
      const joined = (key: keyof Logprobs): unknown[] =>
        own.flatMap(({ logprobs }): unknown[] => logprobs![key] ?? []);
      expect(joined("token_logprobs")).toEqual(choice.logprobs.token_logprobs);
      expect(joined("text_offset")).toEqual(choice.logprobs.text_offset);
      expect(joined("top_logprobs")).toEqual(choice.logprobs.top_logprobs ?? []);
    }
  });
});

describe("what is held is freed", () => {
  const untilFree = async (engine: Served["engine"]): Promise<void> => {
    while (engine.pagesInUse > 0) await new Promise((resolve) => void setImmediate(resolve));
  };
  const body = { model: "tiny", prompt: PROMPT, max_tokens: 400, n: 4 };

  test("when a client of a stream goes away", async () => {
    const response = await post(served, "completions", { ...body, stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await untilFree(served.engine);
  });

  test("when a client that waits goes away", async () => {
    const gone = new AbortController();
    const response = post(served, "completions", body, { signal: gone.signal });
    while (served.engine.pagesInUse === 0)
      await new Promise((resolve) => void setImmediate(resolve));
    gone.abort();
    await expect(response).rejects.toThrow();
    await untilFree(served.engine);
  });
});

test("the server answers others between two steps of a long request", async () => {
  let done = false;
  const long = complete({ max_tokens: 400, n: 8, seed: 1 }).finally(() => (done = true));
  while (served.engine.pagesInUse === 0) await new Promise((resolve) => void setImmediate(resolve));
  const models = await (await fetch(`${served.url}/v1/models`)).json();
  expect(done).toBe(false);
  expect(models).toMatchObject({ object: "list", data: [{ id: "tiny", max_model_len: 512 }] });
  await long;
});

test("more than may run at once, or than the cache holds, wait their turn", async () => {
  await using small = serveFolder(nanoFolder(), {
    context: 128,
    cacheTokens: 512,
    maxConcurrency: 3,
  });
  const asked = { max_tokens: 40, seed: 2, n: 8 };
  const [a, b] = await Promise.all([complete(asked, small), complete(asked, small)]);
  expect(a.choices.map(({ text }) => text)).toEqual(b.choices.map(({ text }) => text));
  expect(new Set(a.choices.map(({ text }) => text)).size).toBeGreaterThan(1);
});

describe("a wrong request is a 4xx that says what and where:", () => {
  const table: readonly [fields: object, status: number, param: string | null, message: string][] =
    [
      [{ model: "gpt" }, 404, "model", 'there is no model "gpt" here, but "tiny"'],
      [{ prompt: undefined }, 400, "prompt", "a text, a list of token ids, or a list of either"],
      [{ prompt: [] }, 400, "prompt", "a text, a list of token ids"],
      [{ prompt: [1, "a"] }, 400, "prompt", "a text, a list of token ids"],
      [{ prompt: "" }, 400, "prompt", "an empty prompt"],
      [{ prompt: [[1], []] }, 400, "prompt", "an empty prompt"],
      [{ prompt: [1024] }, 400, "prompt", "the vocabulary has 1024 ids, and no 1024"],
      [{ max_tokens: -1 }, 400, "max_tokens", "expected number to be >=0"],
      [{ max_tokens: 0 }, 400, "max_tokens", "0 needs echo"],
      [{ max_tokens: 1000 }, 400, "max_tokens", "do not fit the context of 512 tokens"],
      [
        { temperature: -1 },
        400,
        "temperature",
        "0 takes the most probable token; else 0.01 to 100",
      ],
      [{ temperature: 1e-9 }, 400, "temperature", "0 takes the most probable token"],
      [{ temperature: "1" }, 400, "temperature", "expected number, received string"],
      [{ n: 0 }, 400, "n", "expected number to be >=1"],
      [{ stop: "" }, 400, "stop", "an empty text"],
      [{ stop: ["a", ""] }, 400, "stop.1", "an empty text"],
      [{ stop: 3 }, 400, "stop", "a text, or a list of texts; none empty"],
      [{ logprobs: 21 }, 400, "logprobs", "expected number to be <=20"],
      [{ logprobs: true }, 400, "logprobs", "expected number, received boolean"],
      [{ seed: 1.5 }, 400, "seed", "expected int"],
      [{ stream: "yes" }, 400, "stream", "expected boolean"],
      [{ top_p: 0.9 }, 400, "top_p", "top_p is not supported: leave it out, or give 1"],
      [{ top_k: 50 }, 400, "top_k", "top_k is not supported: leave it out, or give -1"],
      [{ min_p: 0.1 }, 400, "min_p", "min_p is not supported"],
      [{ presence_penalty: 1 }, 400, "presence_penalty", "presence_penalty is not supported"],
      [{ frequency_penalty: 1 }, 400, "frequency_penalty", "frequency_penalty is not supported"],
      [
        { repetition_penalty: 1.1 },
        400,
        "repetition_penalty",
        "repetition_penalty is not supported",
      ],
      [{ logit_bias: { 5: 1 } }, 400, "logit_bias", "logit_bias is not supported"],
      [{ response_format: { type: "json_object" } }, 400, "response_format", "is not supported"],
      [{ best_of: 3, n: 2 }, 400, "best_of", "best_of is not supported"],
      [{ suffix: "end" }, 400, "suffix", "suffix is not supported"],
      [{ guided_regex: "a*" }, 400, null, 'Unrecognized key: "guided_regex"'],
    ];
  test.each(table)("%j", async (fields, status, param, message) => {
    const response = await post(served, "completions", {
      model: "tiny",
      prompt: PROMPT,
      ...fields,
    });
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect([response.status, error["param"], error["type"]]).toEqual([
      status,
      param,
      "invalid_request_error",
    ]);
    expect(error["message"]).toContain(message);
  });

  test("values that change nothing are taken, and null is absent", async () => {
    const neutral = {
      top_p: 1,
      top_k: -1,
      min_p: 0,
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      logit_bias: {},
      response_format: { type: "text" },
      best_of: 1,
      suffix: null,
      user: "me",
      metadata: { a: "b" },
      store: false,
      stop: null,
      seed: null,
      logprobs: null,
      n: null,
    };
    expect((await complete({ ...neutral, max_tokens: 2 })).choices).toHaveLength(1);
  });
});

test("a model by its name", async () => {
  expect(await (await fetch(`${served.url}/v1/models/tiny`)).json()).toMatchObject({ id: "tiny" });
  expect((await fetch(`${served.url}/v1/models/else`)).status).toBe(404);
});
