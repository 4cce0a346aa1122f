import { expect, test } from "bun:test";
import { topTokens } from "../../src/rollout/top-tokens.ts";
import { logSoftmax } from "../helpers/engine.ts";

const logits_V = Float32Array.of(1, 3, -2, 3, 0.5, 2);

for (const temperature of [1, 0.5, 2]) {
  test(`the logprobs follow from one that is known, at temperature ${temperature}`, () => {
    const full = logSoftmax(logits_V, temperature);
    const known = { id: 2, logprob: full[2]! };
    const top = topTokens(logits_V, 6, known, temperature);
    expect(top.map(({ id }) => id)).toEqual([1, 3, 5, 0, 4, 2]);
    for (const { id, logprob } of top) expect(logprob).toBeCloseTo(full[id]!, 10);
  });
}

test("the known token keeps its logprob to the last digit", () => {
  expect(topTokens(logits_V, 1, { id: 1, logprob: -0.1234567891234 })).toEqual([
    { id: 1, logprob: -0.1234567891234 },
  ]);
});

test("more than the vocabulary has is all of it", () => {
  expect(topTokens(logits_V, 20, { id: 0, logprob: -1 })).toHaveLength(6);
});
