// What an evaluation says about a policy on one benchmark: figures of scored rollouts, each
// question's samples together, with bootstrap intervals over questions. Pure. Not here: how the
// policy was asked (answer-modes.ts).

import { coverExactMatch, tokenF1 } from "../reward/accuracy.ts";
import { lastAnswer, type TagProfile } from "../reward/tags.ts";
import type { Group, Sample } from "../types.ts";
import { emByHops, mean, rolloutFigures, type RolloutFigures } from "./rollout-figures.ts";
import { bootstrap, type Estimate } from "./statistics.ts";

/** All in [0, 1]. */
export interface Accuracies<T> {
  /**
   * Exact match, as the reward profile counts it: the share of right samples, averaged over
   * questions. With k samples a question this is avg@k.
   */
  readonly em: T;
  readonly f1: T; // token F1, the best gold's
  readonly coverEm: T; // a gold occurs in the answer
}
const ACCURACIES = ["em", "f1", "coverEm"] as const;

/** Entry q: the mean over the samples of question q. */
export type QuestionScores = Accuracies<readonly number[]>;

export interface BenchmarkFigures {
  readonly name: string;
  readonly numQuestions: number;
  readonly numSamples: number; // rollouts
  readonly accuracies: Accuracies<Estimate>;
  /** Share of samples that gave an answer, right or wrong. */
  readonly answered: number;
  /** Where tasks say their hops: exact match by their number. */
  readonly emByHops: Readonly<Record<string, number>>;
  readonly rollouts: RolloutFigures;
}

/** A policy's rollouts on one benchmark. */
export interface Benchmark {
  readonly name: string;
  readonly groups: readonly Group[];
}

export function questionScores(
  groups: readonly Group[],
  tags: TagProfile,
): Accuracies<readonly number[]> {
  const meanOf = (score: (sample: Sample, answer: string) => number): number[] =>
    groups.map(({ samples }) =>
      mean(samples.map((sample) => score(sample, answerOf(sample, tags) ?? ""))),
    );
  const goldsOf = ({ rollout }: Sample): readonly string[] => rollout.task.golds;
  return {
    em: meanOf(({ reward }) => reward.components.em ?? 0),
    f1: meanOf((sample, answer) => tokenF1(answer, goldsOf(sample))),
    coverEm: meanOf((sample, answer) => Number(coverExactMatch(answer, goldsOf(sample)))),
  };
}

export function benchmarkFigures(
  { name, groups }: Benchmark,
  tags: TagProfile,
  seed: number,
): BenchmarkFigures {
  const samples = groups.flatMap((group) => group.samples);
  return {
    name,
    numQuestions: groups.length,
    numSamples: samples.length,
    accuracies: estimates([questionScores(groups, tags)], seed),
    answered: mean(samples.map((sample) => (answerOf(sample, tags) ? 1 : 0))),
    emByHops: emByHops(samples),
    rollouts: rolloutFigures(samples),
  };
}

/** The mean of the benchmarks' means, as the paper's last column: each counts the same. */
export function averageAccuracies(
  benchmarks: readonly Benchmark[],
  tags: TagProfile,
  seed: number,
): Accuracies<Estimate> {
  const scores = benchmarks.map(({ groups }) => questionScores(groups, tags));
  return estimates(scores, seed);
}

function estimates(scores: readonly QuestionScores[], seed: number): Accuracies<Estimate> {
  const entries = ACCURACIES.map((name) => {
    const strata = scores.map((each) => each[name]);
    return [name, bootstrap(strata, { seed })] as const;
  });
  return Object.fromEntries(entries) as unknown as Accuracies<Estimate>;
}

/** Undefined or empty where there is none. */
function answerOf({ rollout }: Sample, tags: TagProfile): string | undefined {
  return lastAnswer(tags, rollout.policyText);
}
