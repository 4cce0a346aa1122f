// The in-process engine with a real, tiny, random policy. Legend: L tokens of a sequence.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RolloutRecord } from "../../src/rollout/rollout.ts";
import type {
  EngineSequence,
  PromptRuns,
  SampledTurn,
  Sampling,
} from "../../src/rollout/engine.ts";
import type { TopToken } from "../../src/rollout/top-tokens.ts";
import { KvCache } from "../../ffi/cache.ts";
import { Device } from "../../ffi/device.ts";
import { countersBetween } from "../../src/rollout/engine.ts";
import { InProcessEngine, type InProcessOptions } from "../../src/rollout/in-process.ts";
import { type GroupRequest, rolloutGroups } from "../../src/rollout/batch.ts";
import { buildBatches } from "../../src/train/trie.ts";
import { checkContract } from "../../src/train/contract.ts";
import { Role } from "../../src/types.ts";
import { byteTokenizer, EOS } from "../helpers/byte-tokenizer.ts";
import { openTiny, randomIds, rowsBatch } from "../helpers/engine.ts";
import { toolboxOf, toolOf } from "../helpers/tools.ts";
import { promptOf, settings, task } from "../helpers/rollouts.ts";

setDefaultTimeout(60_000); // the engine may have to be compiled first

const device = Device.open("cpu");
const policy = openTiny(device, "f64", { vocab: byteTokenizer.vocabSize });
afterAll(() => {
  policy[Symbol.dispose]();
  device[Symbol.dispose]();
});

interface Opened extends Disposable {
  readonly engine: InProcessEngine;
}
function open(options: Partial<InProcessOptions> & { readonly numPages?: number } = {}): Opened {
  const cache = KvCache.open(policy, { numPages: options.numPages ?? 400, pageTokens: 16 });
  const engine = new InProcessEngine(policy, cache, options);
  return { engine, [Symbol.dispose]: () => cache[Symbol.dispose]() };
}

const demonstrations = Int32Array.from(randomIds(50, 256, 1));
const question = (seed: number): Int32Array => Int32Array.from(randomIds(11, 256, seed));
const prompt = (seed: number): PromptRuns => [demonstrations, question(seed)];

interface Draw {
  readonly group?: number;
  readonly sample?: number;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly numTop?: number;
  readonly shouldStop?: Sampling["shouldStop"];
}
function draw(sequence: EngineSequence, change: Draw = {}): Promise<SampledTurn> {
  const shouldStop = (): boolean => false;
  const base = { maxTokens: 9, temperature: 1, seed: 5, group: 0, sample: 0, shouldStop };
  return sequence.generate({ ...base, ...change });
}

/** Logprob of each token but the first, by the policy's own forward over the whole sequence. */
function fullLogprobs(tokens_L: Int32Array, temperature = 1): Float64Array {
  return policy.logprobs(rowsBatch([[...tokens_L]]), temperature).logprobs_N;
}

// A random policy never closes a tag; with these stops its turns end, and each byte that is a vowel
// "calls".
const chatty = settings({
  toolbox: toolboxOf([toolOf((input) => `found ${input}`)], { maxObservationTokens: 120 }),
  tags: {
    ...settings().tags,
    stops: [..."aeiou"].map((text) => ({ kind: "call" as const, tool: "search", text })),
  },
  limits: {
    maxCalls: 3,
    maxTurnTokens: 15,
    maxNewTokens: 30,
    context: 500,
  },
  stopTexts: [],
});

function requests(numGroups: number, numSamples: number): GroupRequest[] {
  return Array.from({ length: numGroups }, (_, stream) => {
    const given = { ...promptOf("Use the tool. ".repeat(3), `Where is number ${stream}?\n`) };
    return { id: `g${stream}`, stream, task, prompt: given, numSamples };
  });
}

async function records(
  engine: InProcessEngine,
  numGroups = 3,
  numSamples = 4,
): Promise<RolloutRecord[]> {
  const { groups } = await rolloutGroups(engine, requests(numGroups, numSamples), chatty);
  return groups.flatMap((group) => group.records);
}
const tokensOf = (all: readonly RolloutRecord[]): number[][] =>
  all.map(({ rollout }) => [...rollout.tokens_L]);

test("logprobs of cached turns are those of the policy's full forward", async () => {
  using opened = open();
  const all = await records(opened.engine);
  expect(all.some(({ rollout }) => rollout.turns.length > 2)).toBe(true);
  for (const { rollout } of all) {
    const full = fullLogprobs(rollout.tokens_L);
    rollout.roles_L.forEach((role, at) => {
      if (role === Role.policy) expect(rollout.samplerLogprobs_L[at]).toBeCloseTo(full[at - 1]!, 5);
    });
  }
});

test("real rollouts of the engine keep the contract", async () => {
  using opened = open();
  const { groups } = await rolloutGroups(opened.engine, requests(3, 4), chatty);
  const rollouts = groups.flatMap((group) => group.records.map(({ rollout }) => rollout));
  const batches = buildBatches(rollouts, { maxTokens: 4000 });
  expect(checkContract({ groups, batches, eosIds: [EOS] })).toEqual([]);
});

test("sharing prefixes changes no sample", async () => {
  using shared = open();
  using alone = open({ sharePrefixes: false });
  const [a, b] = [await records(shared.engine), await records(alone.engine)];
  expect(tokensOf(a)).toEqual(tokensOf(b));
  expect(shared.engine.counters().prefillTokens).toBeLessThan(
    alone.engine.counters().prefillTokens,
  );
});

test("a sample does not depend on what else is in its batch", async () => {
  using together = open();
  using single = open();
  const all = await records(together.engine, 3, 4);
  const [only] = await records(single.engine, 1, 1);
  expect(all[0]!.rollout.tokens_L).toEqual(only!.rollout.tokens_L);
});

test("prompts computed a few tokens a step give the same samples", async () => {
  using whole = open();
  using pieces = open({ maxPrefillTokens: 7 });
  expect(tokensOf(await records(pieces.engine))).toEqual(tokensOf(await records(whole.engine)));
  expect(pieces.engine.counters().prefillTokens).toBe(whole.engine.counters().prefillTokens);
});

test("40 sequences pass through a cache that holds only a few, with the same samples", async () => {
  using large = open({ numPages: 4000 });
  using small = open({ numPages: 60 });
  expect(tokensOf(await records(small.engine, 10, 4))).toEqual(
    tokensOf(await records(large.engine, 10, 4)),
  );
  expect(small.engine.counters().steps).toBeGreaterThan(large.engine.counters().steps);
  expect(small.engine.pagesInUse).toBe(0);
});

test("demonstrations and questions are computed once for all that open them", async () => {
  using opened = open();
  const { engine } = opened;
  const sequences = [1, 2].flatMap((seed) => [0, 1, 2].map(() => engine.open(prompt(seed), 9)));
  await Promise.all(sequences.map((sequence, sample) => draw(sequence, { sample })));
  // The last token of a prompt is each sample's own.
  expect(engine.counters().prefillTokens).toBe(50 + 2 * (11 - 1));
  expect(engine.counters().decodeTokens).toBe(6 * 9);
  expect(engine.counters().steps).toBe(9);
  for (const sequence of sequences) sequence[Symbol.dispose]();
});

test("a turn after an observation computes the new tokens only", async () => {
  using opened = open();
  using sequence = opened.engine.open(prompt(1), 40);
  await draw(sequence);
  const before = opened.engine.counters();
  sequence.append(randomIds(8, 256, 2));
  await draw(sequence);
  // The last sampled token and seven of the observation, then the eighth, after which it samples.
  expect(countersBetween(before, opened.engine.counters()).prefillTokens).toBe(8);
});

test("pages return to zero when sequences close, twice closed or not", async () => {
  using opened = open();
  const { engine } = opened;
  const sequences = [1, 2, 3].map((seed) => engine.open(prompt(seed), 20));
  await Promise.all(sequences.map((sequence) => draw(sequence)));
  expect(engine.pagesInUse).toBe(4 + 3 * 1 + 3 * 2); // 50, 10 and 1 + 20 tokens, 16 a page
  for (const sequence of [...sequences, ...sequences]) sequence[Symbol.dispose]();
  expect(engine.pagesInUse).toBe(0);
});

test("closed prompts stay computed for the same version of the policy, until forgotten", async () => {
  using opened = open();
  const prefill = async (): Promise<number> => {
    const before = opened.engine.counters();
    using sequence = opened.engine.open(prompt(1), 9);
    await draw(sequence);
    return countersBetween(before, opened.engine.counters()).prefillTokens;
  };
  expect(await prefill()).toBe(60);
  expect(await prefill()).toBe(0);
  opened.engine.forget();
  expect(await prefill()).toBe(60);
  expect(await prefill()).toBe(0);
  const [tensor] = policy.tensors();
  policy.write(tensor!.name, policy.readF64(tensor!.name), "f64");
  expect(await prefill()).toBe(60);
});

test("a policy that changes under open sequences is an error until they close", async () => {
  using opened = open();
  const sequence = opened.engine.open(prompt(1), 40);
  await draw(sequence);
  const [tensor] = policy.tensors();
  policy.write(tensor!.name, policy.readF64(tensor!.name), "f64");
  await expect(draw(sequence)).rejects.toThrow("the policy changed while sequences were open");
  sequence[Symbol.dispose]();
  using next = opened.engine.open(prompt(1), 40);
  expect((await draw(next)).policyVersion).toBe(policy.version);
});

test("a turn ends where it is told to, and says so", async () => {
  using opened = open();
  using free = opened.engine.open(prompt(1), 9);
  const { ids_N, stopped } = await draw(free);
  expect([ids_N.length, stopped]).toEqual([9, false]);
  using stopping = opened.engine.open(prompt(1), 9);
  const turn = await draw(stopping, { shouldStop: (id) => id === ids_N[3] });
  expect(turn.stopped).toBe(true);
  expect(turn.ids_N).toEqual(ids_N.slice(0, ids_N.indexOf(ids_N[3]!) + 1));
});

test("logprobs are at the temperature asked for; at 0 the most probable token wins", async () => {
  using opened = open();
  const sequences = [0, 0.5, 2].map(() => opened.engine.open(prompt(1), 9));
  const turns = await Promise.all(
    [0, 0.5, 2].map((temperature, i) => draw(sequences[i]!, { temperature })),
  );
  for (const [i, temperature] of [1, 0.5, 2].entries()) {
    const full = fullLogprobs(sequences[i]!.transcript().tokens_L, temperature).slice(-9);
    turns[i]!.logprobs_N.forEach((logprob, n) => expect(logprob).toBeCloseTo(full[n]!, 5));
  }
  const again = opened.engine.open(prompt(1), 9);
  const greedy = await draw(again, { temperature: 0, sample: 7 });
  expect(greedy.ids_N).toEqual(turns[0]!.ids_N);
  for (const sequence of [...sequences, again]) sequence[Symbol.dispose]();
});

test("the most probable tokens are those of the full distribution, for who asks alone", async () => {
  using opened = open();
  const sequences = [0, 1].map(() => opened.engine.open(prompt(1), 9));
  const seen: TopToken[][][] = [[], []];
  const asking = (numTop: number): Promise<SampledTurn> =>
    draw(sequences[Number(numTop > 0)]!, {
      sample: numTop,
      temperature: 0.5,
      numTop,
      shouldStop: (_id, _logprob, top) => seen[Number(numTop > 0)]!.push([...top]) < 0,
    });
  await Promise.all([asking(0), asking(3)]);
  expect(seen[0]).toEqual(Array.from({ length: 9 }, () => []));
  const { tokens_L } = sequences[1]!.transcript();
  const vocab = byteTokenizer.vocabSize;
  const every = Array.from({ length: 9 * vocab }, (_, i) => i);
  const { logprobs_N } = policy.logprobs(
    {
      ...rowsBatch([[...tokens_L]]),
      targetRows_N: Int32Array.from(every, (i) => tokens_L.length - 10 + Math.floor(i / vocab)),
      targetIds_N: Int32Array.from(every, (i) => i % vocab),
    },
    0.5,
  );
  for (const [i, top] of seen[1]!.entries()) {
    const full = [...logprobs_N.subarray(i * vocab, (i + 1) * vocab)];
    const best = full.toSorted((a, b) => b - a).slice(0, 3);
    best.forEach((logprob, n) => expect(top[n]!.logprob).toBeCloseTo(logprob, 4));
    for (const { id, logprob } of top) expect(full[id]).toBeCloseTo(logprob, 4);
  }
  for (const sequence of sequences) sequence[Symbol.dispose]();
});

test("the transcript is the prompt, what was sampled and what was appended", async () => {
  using opened = open();
  using sequence = opened.engine.open(prompt(1), 40);
  const first = await draw(sequence);
  sequence.append([1, 2, 3]);
  const { tokens_L, sampled_L } = sequence.transcript();
  expect([...tokens_L]).toEqual([...demonstrations, ...question(1), ...first.ids_N, 1, 2, 3]);
  expect([...sampled_L].lastIndexOf(1)).toBe(50 + 11 + 9 - 1);
  expect([...sampled_L].filter(Boolean)).toHaveLength(9);
});

test("a sequence that waits for nobody samples while another is between turns", async () => {
  using opened = open();
  using waiting = opened.engine.open(prompt(1), 40);
  using going = opened.engine.open(prompt(2), 40);
  await draw(waiting);
  expect((await draw(going, { maxTokens: 30 })).ids_N).toHaveLength(30);
  expect((await draw(waiting)).ids_N).toHaveLength(9);
});

test("what can never fit is refused at once, with the sizes", () => {
  using opened = open({ numPages: 5 });
  expect(() => opened.engine.open(prompt(1), 200)).toThrow(
    "a rollout of 261 tokens needs 18 cache pages, there are 5",
  );
  expect(() => opened.engine.open([], 9)).toThrow("a prompt has at least one token");
});

test("more tokens than a sequence was opened for are refused", async () => {
  using opened = open();
  using sequence = opened.engine.open(prompt(1), 10);
  expect(() => draw(sequence, { maxTokens: 11 })).toThrow("12 tokens in a sequence opened for 11");
  await draw(sequence);
  expect(() => sequence.append([1, 2])).toThrow("12 tokens in a sequence opened for 11");
});

test("a failed step reaches everyone in it; once they closed, the engine works again", async () => {
  using opened = open();
  const sequences = [1, 2].map((seed) => opened.engine.open(prompt(seed), 9));
  const fails = (): never => {
    throw new Error("broken");
  };
  const turns = await Promise.allSettled([
    draw(sequences[0]!, { shouldStop: fails }),
    draw(sequences[1]!),
  ]);
  expect(turns.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  for (const sequence of sequences) sequence[Symbol.dispose]();
  using next = opened.engine.open(prompt(1), 9);
  expect((await draw(next)).ids_N).toHaveLength(9);
});

test("using a closed sequence is an error", () => {
  using opened = open();
  const sequence = opened.engine.open(prompt(1), 9);
  sequence[Symbol.dispose]();
  expect(() => draw(sequence)).toThrow("the sequence is closed");
});
