// An evaluation on benchmarks, from prompts to figures. It changes nothing of the policy and
// records nothing; a run's own evaluations are evaluate.ts. Questions whose prompts do not fit the
// context count as not answered: a benchmark keeps its size.

import type { Group } from "../types.ts";
import type { Prompter } from "../rollout/template.ts";
import {
  type AnswerMode,
  baselineTemplate,
  retrieveForEach,
  withoutTools,
} from "./answer-modes.ts";
import {
  averageAccuracies,
  benchmarkFigures,
  type Accuracies,
  type Benchmark,
  type BenchmarkFigures,
} from "./benchmark.ts";
import type { OpenedEvaluation, TaskSet } from "./open-evaluation.ts";
import { sampleGroups } from "./sampling.ts";
import type { Session } from "./session.ts";
import type { Estimate } from "./statistics.ts";

export interface BenchmarkReport extends BenchmarkFigures {
  /** Searches a rollout; in mode `rag` the one before it. */
  readonly searches: number;
  readonly searchFailures: number; // a count
}

export interface EvaluationReport {
  readonly stage: string;
  readonly step: number;
  readonly mode: AnswerMode;
  readonly shots: number;
  readonly samplesPerQuestion: number;
  readonly temperature: number;
  readonly benchmarks: readonly BenchmarkReport[];
  /** Of several benchmarks the mean of their figures, each counting the same. */
  readonly average: Accuracies<Estimate>;
  /** All questions of all benchmarks as one. */
  readonly pooled: BenchmarkReport;
  readonly seconds: number;
}

export async function evaluateBenchmarks(
  opened: OpenedEvaluation,
  tell: (text: string) => void,
): Promise<EvaluationReport> {
  const start = performance.now();
  const { asked, session, stage, step, sets } = opened;
  const asked_S: Asked[] = [];
  for (const set of sets) {
    tell(`${set.name}: ${set.tasks.length} questions`);
    asked_S.push(...bySource(await askAll(opened, set)));
  }
  const { tags } = session.prompts;
  const { mode, shots, samples: samplesPerQuestion } = asked;
  const report = (each: Asked): BenchmarkReport => reportOf(each, mode, session);
  return {
    stage,
    step,
    mode,
    shots,
    samplesPerQuestion,
    temperature: session.recipe.eval.temperature,
    benchmarks: asked_S.map(report),
    average: averageAccuracies(asked_S, tags, BOOTSTRAP_SEED),
    pooled: report(pooled(asked_S)),
    seconds: (performance.now() - start) / 1000,
  };
}

/** Intervals are a function of the rollouts alone. */
const BOOTSTRAP_SEED = 1;

interface Asked extends Benchmark {
  readonly failed: ReadonlySet<string>; // questions whose search in mode `rag` failed
}
const NONE: ReadonlySet<string> = new Set();

async function askAll(
  { asked, session }: OpenedEvaluation,
  { name, tasks, seed }: TaskSet,
): Promise<Asked> {
  const { mode, shots, samples: samplesPerTask } = asked;
  const sampler = session.sampler(session.recipe.eval.temperature, seed);
  const request = { tasks, samplesPerTask, label: `eval/${name}`, firstStream: 0 };
  if (mode === "icrl") {
    const template = session.shotsTemplate(shots);
    const { groups } = await sampleGroups(sampler, { ...request, template });
    return { name, groups, failed: NONE };
  }
  const written = baselineTemplate(mode, session.recipe, session.prompts);
  let template: Prompter = written;
  let failed = NONE;
  if (mode === "rag") {
    const found = await retrieveForEach(tasks, written, sampler.settings);
    [template, failed] = [found.prompter, found.failed];
  }
  const settings = withoutTools(sampler.settings);
  const { groups } = await sampleGroups({ ...sampler, settings }, { ...request, template });
  return { name, groups, failed };
}

/** Held-out questions of several sources, asked as one set, are a benchmark each. */
function bySource({ name, groups, failed }: Asked): Asked[] {
  const sourceOf = ({ task }: Group): string => String(task.meta.source ?? name);
  const sources = [...new Set(groups.map(sourceOf))];
  if (sources.length <= 1) return [{ name: sources[0] ?? name, groups, failed }];
  return sources.map((source) => ({
    name: source,
    groups: groups.filter((group) => sourceOf(group) === source),
    failed,
  }));
}

function pooled(all: readonly Asked[]): Asked {
  const failed = new Set(all.flatMap((each) => [...each.failed]));
  return { name: "all", groups: all.flatMap(({ groups }) => groups), failed };
}

function reportOf(asked: Asked, mode: AnswerMode, { prompts }: Session): BenchmarkReport {
  const figures = benchmarkFigures(asked, prompts.tags, BOOTSTRAP_SEED);
  const { toolCalls, toolFailures } = figures.rollouts;
  if (mode !== "rag") return { ...figures, searches: toolCalls, searchFailures: toolFailures };
  const failed = asked.groups.filter(({ task }) => asked.failed.has(task.question));
  return { ...figures, searches: 1, searchFailures: failed.length };
}
