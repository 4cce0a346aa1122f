import { describe, expect, test } from "bun:test";
import { tagProfile } from "../../src/reward/tags.ts";
import {
  averageAccuracies,
  benchmarkFigures,
  questionScores,
  type Benchmark,
} from "../../src/train/benchmark.ts";
import type { Group, Sample } from "../../src/types.ts";
import { sampleOf } from "../helpers/samples.ts";

const tags = tagProfile("icrl");

/** A rollout that answered `answer`, or nothing; the golds are "Ivo Ran" and "Ran". */
function answering(answer: string | undefined, em: number): Sample {
  const { rollout, reward } = sampleOf({ em });
  const policyText = answer === undefined ? "<think> hm" : `<answer> ${answer} </answer>`;
  const task = { ...rollout.task, golds: ["Ivo Ran", "Ran"], meta: {} };
  return { rollout: { ...rollout, task, policyText }, reward };
}
const groupOf = (id: string, ...samples: Sample[]): Group => ({
  id,
  task: samples[0]!.rollout.task,
  samples,
});
const groups = [
  groupOf("a", answering("Ran", 1), answering("it is Ivo Ran", 0)),
  groupOf("b", answering("Osk", 0), answering(undefined, 0)),
];

test("a question's score is the mean over its samples, an answer's that of its best gold", () => {
  const { em, f1, coverEm } = questionScores(groups, tags);
  expect(em).toEqual([0.5, 0]); // avg@2
  expect(f1[0]).toBeCloseTo((1 + (2 * 2) / (4 + 2)) / 2, 12);
  expect(f1[1]).toBe(0);
  expect(coverEm).toEqual([1, 0]);
});

test("figures are means over questions, with the share that answered at all", () => {
  const figures = benchmarkFigures({ name: "toy", groups }, tags, 1);
  expect([figures.numQuestions, figures.numSamples]).toEqual([2, 4]);
  expect(figures.accuracies.em).toEqual({ value: 0.25, low: 0, high: 0.5 });
  expect(figures.accuracies.coverEm.value).toBe(0.5);
  expect(figures.answered).toBe(3 / 4);
  expect(figures.emByHops).toEqual({});
});

describe("the average of benchmarks", () => {
  const right = groupOf("r", answering("Ran", 1));
  const large: Benchmark = { name: "large", groups: Array<Group>(9).fill(right) };
  const small: Benchmark = { name: "small", groups: [groupOf("w", answering("Osk", 0))] };

  test("counts each the same, however many questions it has", () => {
    expect(averageAccuracies([large, small], tags, 1).em.value).toBe((1 + 0) / 2);
  });
  test("of one benchmark is its own figure", () => {
    const own = benchmarkFigures({ name: "toy", groups }, tags, 1).accuracies;
    expect(averageAccuracies([{ name: "toy", groups }], tags, 1)).toEqual(own);
  });
});
