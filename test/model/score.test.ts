// Scoring one sequence: golden logprobs and gradient digests, under the folder's own tensor names.

import { expect, test } from "bun:test";
import type { ModelFolder } from "../../src/model/model-folder.ts";
import { scoreIds } from "../../src/model/score.ts";
import { openFolder } from "../../src/model/weights.ts";
import { GOLDEN_MODELS, goldenPath, readGolden } from "../helpers/folders.ts";
import { openCpu } from "../helpers/engine.ts";

function score(folder: ModelFolder, ids: readonly number[], grad: boolean) {
  using device = openCpu();
  return scoreIds(folder, ids, { device, dtype: "f32", grad });
}

for (const name of GOLDEN_MODELS) {
  test(`${name}: logprobs to 1e-4, and norm and sum of every gradient`, () => {
    const golden = readGolden(name);
    using folder = openFolder(goldenPath(name));
    const { ids, logprobs, grads } = score(folder, golden.ids, true);
    expect(ids).toEqual(golden.ids);
    expect(logprobs[0]).toBeNull();
    golden.logprobs
      .slice(1)
      .forEach((value, i) => expect(Math.abs(logprobs[i + 1]! - value!)).toBeLessThan(1e-4));
    expect(Object.keys(grads!).toSorted()).toEqual(Object.keys(golden.grads).toSorted());
    for (const [tensor, { norm, sum }] of Object.entries(golden.grads)) {
      expect(Math.abs(grads![tensor]!.norm / norm - 1), tensor).toBeLessThan(1e-4);
      expect(Math.abs(grads![tensor]!.sum - sum) / norm, tensor).toBeLessThan(1e-3);
    }
  });
}

test("a tied head that the folder lists has the embedding's gradient", () => {
  using folder = openFolder(goldenPath("qwen3-tied"));
  const listed = new Map(folder.tensors).set(
    "lm_head.weight",
    folder.tensors.get("model.embed_tokens.weight")!,
  );
  const { grads } = score(
    { ...folder, tensors: listed, [Symbol.dispose]: () => {} },
    readGolden("qwen3-tied").ids,
    true,
  );
  expect(grads!["lm_head.weight"]).toEqual(grads!["model.embed_tokens.weight"]!);
});

test("without --grad there are no gradients, and one token has no logprob", () => {
  using folder = openFolder(goldenPath("qwen3-tied"));
  expect(score(folder, [4, 5], false).grads).toBeUndefined();
  expect(score(folder, [4], false)).toEqual({ ids: [4], logprobs: [null] });
});

test("ids outside the vocabulary, no ids, and a gradient of one token are refused", () => {
  using folder = openFolder(goldenPath("qwen3-tied"));
  expect(() => score(folder, [1, 80], false)).toThrow(/token id 80 is not in the vocabulary of 80/);
  expect(() => score(folder, [], false)).toThrow(/no tokens/);
  expect(() => score(folder, [1], true)).toThrow(/at least two/);
});
