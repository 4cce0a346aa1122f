import { expect, test } from "bun:test";
import { shotsOf } from "../../src/train/open-question.ts";

const recipe = {
  stages: [3, 2, 0].map((shots) => ({ shots, steps: 1 })),
};

test.each([
  ["base", 3],
  ["stage1", 3],
  ["stage2", 2],
  ["stage2-step7", 2],
  ["stage3", 0],
  ["stage9", 3],
])("a policy of %s is asked with %d demonstrations", (stage, shots) => {
  expect(shotsOf(recipe, stage)).toBe(shots);
});
