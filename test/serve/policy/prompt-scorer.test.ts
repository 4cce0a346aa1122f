import { afterAll, expect, test } from "bun:test";
import { PromptScorer } from "../../../src/serve/policy/prompt-scorer.ts";
import { openCpu, openTiny, randomIds, rowsBatch } from "../../helpers/engine.ts";

const device = openCpu();
const policy = openTiny(device, "f32");
const VOCAB = policy.config.vocab;
afterAll(() => {
  policy[Symbol.dispose]();
  device[Symbol.dispose]();
});
const here = new AbortController().signal;
const prompt = (length: number, seed: number): number[] => randomIds(length, VOCAB, seed);
const reference = (ids: readonly number[]): Float64Array =>
  policy.logprobs(rowsBatch([ids]), 1).logprobs_N;

test("logprobs are the policy's own, however many forwards prompts are split over", async () => {
  using scorer = new PromptScorer(policy, 100, 16);
  const prompts = [prompt(5, 1), prompt(37, 2), prompt(11, 3), prompt(2, 4), prompt(16, 5)];
  const scored = await Promise.all(prompts.map((ids) => scorer.score(ids, 0, here)));
  for (const [i, ids] of prompts.entries()) {
    const wanted = reference(ids);
    expect(scored[i]).toHaveLength(ids.length - 1);
    scored[i]!.forEach(({ logprob, top }, n) => {
      expect(logprob).toBeCloseTo(wanted[n]!, 4);
      expect(top).toEqual([]);
    });
  }
});

for (const numTop of [1, 4]) {
  test(`the ${numTop} most probable tokens of each place`, async () => {
    using scorer = new PromptScorer(policy, 100);
    const ids = prompt(9, 1);
    const scored = await scorer.score(ids, numTop, here);
    for (const [n, { top }] of scored.entries()) {
      const full = Array.from({ length: VOCAB }, (_, id) =>
        reference([...ids.slice(0, n + 1), id]).at(-1)!,
      );
      const best = full.toSorted((a, b) => b - a).slice(0, numTop);
      expect(top.map(({ id }) => full[id]!)).toEqual(best);
      top.forEach(({ logprob }, k) => expect(logprob).toBeCloseTo(best[k]!, 4));
    }
  });
}

test("the most probable token and the same token of the prompt have one logprob", async () => {
  using scorer = new PromptScorer(policy, 100);
  const ids = [3];
  for (let n = 0; n < 5; n++)
    ids.push((await scorer.score([...ids, 0], 1, here)).at(-1)!.top[0]!.id);
  for (const { logprob, top } of await scorer.score(ids, 2, here))
    expect(top[0]!.logprob).toBe(logprob);
});

test("who went away is not computed, and the others are", async () => {
  using scorer = new PromptScorer(policy, 100);
  const gone = new AbortController();
  const left = scorer.score(prompt(9, 1), 0, gone.signal);
  const stays = scorer.score(prompt(9, 2), 0, here);
  gone.abort(new Error("went away"));
  await expect(left).rejects.toThrow("went away");
  expect(await stays).toHaveLength(8);
});

test("one token has no logprob", async () => {
  using scorer = new PromptScorer(policy, 100);
  expect(await scorer.score([1], 1, here)).toEqual([]);
});
