import { expect, test } from "bun:test";
import type { PolicyConfig } from "../../ffi/policy.ts";
import { bodyWeights, decodeWork, headWeights, updateFlops } from "../../bench/flops.ts";
import { FULL, shapeOf } from "../../bench/shapes.ts";
import { buildBatches } from "../../src/train/trie.ts";

/** One layer of two heads that share a key head; 3 x 2 products are easily counted by hand. */
const CONFIG: PolicyConfig = {
  ...shapeOf("nano"),
  hidden: 4,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 3,
  ffn: 5,
  vocab: 7,
};

test("weights are those of the products: q, k, v, o, gate, up, down", () => {
  // q and o: 4 x 6 each; k and v: 4 x 3 each; gate, up and down: 4 x 5 each.
  expect(bodyWeights(CONFIG)).toBe(2 * 24 + 2 * 12 + 3 * 20);
  expect(headWeights(CONFIG)).toBe(28);
});

const batch = (targetRows: readonly number[]) => ({
  tokens_T: new Int32Array(3),
  positions_T: Int32Array.of(0, 1, 2),
  segments_S3: Int32Array.of(0, 3, 3),
  targetRows_N: Int32Array.from(targetRows),
  targetIds_N: new Int32Array(targetRows.length),
});

test("an update is six times the weights a token, and six products a pair of query and key", () => {
  // 3 tokens; 1 + 2 + 3 pairs of 2 heads x 3 dims; one row of logits.
  const { useful, recomputed } = updateFlops(CONFIG, [batch([2])]);
  expect(useful).toBe(6 * 132 * 3 + 6 * (2 * 6) * 6 + 6 * 28);
  expect(recomputed).toBe(12 * 6); // attention's scores; the logits are kept
});

test("targets of one row are useful once and computed each", () => {
  const [one, two] = [batch([2]), batch([2, 2])].map((each) => updateFlops(CONFIG, [each]));
  expect(two!.useful).toBe(one!.useful);
  expect(two!.recomputed - one!.recomputed).toBe(6 * 28);
});

test("the logits of all chunks but the last are computed twice", () => {
  const rows = Array.from({ length: 8195 }, () => 2); // a chunk is 8,192
  const [kept, again] = [rows.slice(0, 8192), rows].map((each) => updateFlops(CONFIG, [batch(each)]));
  expect(again!.recomputed - kept!.recomputed).toBe(3 * 6 * 28 + 8192 * 2 * 28);
});

test("a layer computed twice adds its forward to what is recomputed", () => {
  const [once, twice] = [0, 1].map((layers) => updateFlops(CONFIG, [batch([2])], layers));
  expect(twice!.useful).toBe(once!.useful);
  expect(twice!.recomputed - once!.recomputed).toBe(2 * 132 * 3 + 2 * 12 * 6);
});

test("decoding reads all weights and every distinct cached token once a forward", () => {
  const shape = { prompts: 2, samples: 3, shared: 10, own: 4, sampled: 1 };
  const { flops, bytes } = decodeWork(CONFIG, shape);
  expect(flops).toBe(6 * (2 * (132 + 28) + 2 * 12 * 15));
  expect(bytes).toBe(4 * (132 + 28 + 2 * 3 * (10 + 2 * 4 + 6)));
});

test("the step shape's FLOP ratio of plain rows and trie is about 4.7", () => {
  const { prompts, samples, shared, own, sampled } = FULL.step;
  const rollouts = Array.from({ length: prompts * samples }, (_, i) => {
    const length = shared + own + sampled;
    const group = Math.floor(i / samples);
    const from = shared + own;
    const token = (t: number): number => (t < shared ? 5 : t < from ? 10 + group : 100 + i);
    return {
      tokens_L: Int32Array.from({ length }, (_, t) => token(t)),
      roles_L: new Uint8Array(length).fill(1, from),
    };
  });
  const [trie, plain] = [true, false].map((share) => {
    const batches = buildBatches(rollouts, { maxTokens: 16384, share });
    return updateFlops(shapeOf("nano"), batches).useful;
  });
  expect(plain! / trie!).toBeCloseTo(4.78, 1);
});
