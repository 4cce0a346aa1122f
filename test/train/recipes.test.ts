// Every embedded recipe runs, as it is but for what does not fit here: the model is a tiny one of
// its family (nano is small enough), data files have few rows, limits are short, stages have three
// steps. A new recipe is in this table by itself; one with a new family or data set fails until
// helpers/tiny-family.ts or helpers/question-rows.ts knows it.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { setThreads } from "../../ffi/native.ts";
import { isOwnWorld } from "../../src/config/data-recipe.ts";
import { embeddedRecipes } from "../../src/config/embedded.ts";
import { loadRecipe } from "../../src/config/load.ts";
import type { Recipe, SourceRecipe } from "../../src/config/recipe.ts";
import { stageName } from "../../src/curriculum/stages.ts";
import type { Evaluation, StepMetrics } from "../../src/run/metrics.ts";
import { observeAll } from "../../src/run/observer.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { openRun } from "../../src/train/open-run.ts";
import { type DataFolder, dataFolder } from "../helpers/data-files.ts";
import { fixture, type RealModel } from "../helpers/fixtures.ts";
import { ANSWER, FUNCTION, NUMBER, questionFile } from "../helpers/question-rows.ts";
import { type RetrieverServer, serveRetriever } from "../helpers/retriever-server.ts";
import { writeTinyFamily } from "../helpers/tiny-family.ts";

setDefaultTimeout(300_000);

const STEPS = 3;
/** What a policy of a real family writes, more or less: calls and answers, closed or not. */
const SEARCHING = [`<search> ${ANSWER} </search>`, `<answer> ${ANSWER} </answer>`];
const TEXTS: readonly [tags: string, reward: string, texts: readonly string[]][] = [
  ["icrl", "icrl-math", [`<code> print(${NUMBER}) </code>`, `<answer> ${NUMBER} </answer>`]],
  ["icrl", "code", [`<code> print(${NUMBER}) </code>`, `<answer> ${FUNCTION} </answer>`]],
  [
    "retool",
    "retool",
    [
      `<code>\n\`\`\`python\nprint(${NUMBER})\n\`\`\`\n</code>`,
      `<answer> \\boxed{${NUMBER}} </answer>`,
    ],
  ],
  [
    "torl",
    "torl",
    [`\`\`\`python\nprint(${NUMBER})\n\`\`\`\n\`\`\`output`, `\\boxed{${NUMBER}}<|im_end|>`],
  ],
];
const textsOf = ({ tags, reward }: Recipe): readonly string[] =>
  TEXTS.find((each) => each[0] === tags && each[1] === reward.profile)?.[2] ?? SEARCHING;
const FAMILIES: readonly [model: RegExp, family: RealModel][] = [
  [/qwen2\.5/i, "qwen2_5"],
  [/qwen3/i, "qwen3"],
  [/llama-?3/i, "llama3_2"],
];

let folder: DataFolder;
let retriever: RetrieverServer;
const models = new Map<string, string>();
beforeAll(() => {
  setThreads(1);
  folder = dataFolder();
  retriever = serveRetriever([
    [ANSWER, `${ANSWER} is the capital of France.`],
    ["Lyon", "Lyon is not."],
    ["Nice", "Nor is Nice."],
  ]);
});
afterAll(() => {
  folder[Symbol.dispose]();
  retriever[Symbol.dispose]();
});

/** Undefined for nano. */
function familyOf(name: string, { policy: { model } }: Recipe): RealModel | undefined {
  if (model === "nano") return undefined;
  const found = FAMILIES.find(([pattern]) => pattern.test(model));
  if (found === undefined) throw new Error(`${name}: no tiny model like ${model} here: add one`);
  return found[1];
}

/** Written once a family and what it writes. */
function tinyModel(family: RealModel, recipe: Recipe): string {
  const texts = textsOf(recipe);
  const key = [family, ...texts].join("\n");
  const made = models.get(key);
  if (made !== undefined) return made;
  const path = writeTinyFamily(join(folder.path, `model-${models.size}`), family, texts)!;
  models.set(key, path);
  return path;
}

/** The recipe's sources with files in their places. */
function withFiles(sources: readonly SourceRecipe[]): string {
  const written = sources.map((each) => {
    if (isOwnWorld(each.path)) return each;
    const path = each.path.replace(/\.parquet$/, ".jsonl"); // the same rows
    return { ...each, path: folder.write(path, questionFile(path, 20)) };
  });
  return JSON.stringify(written);
}

/** Settings by which the recipe fits here, and is what it was. */
function overridesFor(recipe: Recipe, family: RealModel | undefined): string[] {
  const { data, tool, stages, train } = recipe;
  return [
    ...(family === undefined ? [] : [`policy.model=${tinyModel(family, recipe)}`]),
    "policy.device=cpu",
    "policy.dtype=f32",
    "train.master_weights=true", // of an f32 policy they are its own
    ...(train.lora === undefined ? [] : ["train.lora.rank=4"]),
    "policy.cache_tokens=32768",
    `data.train=${withFiles(data.train)}`,
    ...(data.validation === undefined ? [] : [`data.validation=${withFiles(data.validation)}`]),
    ...(tool["search"]?.kind !== "retriever" ? [] : [`tool.search.url=${retriever.url}`]),
    "rollout.prompts_per_step=2",
    `rollout.samples_per_prompt=${family === undefined ? 16 : 4}`, // nano calls now and then
    "rollout.max_turn_tokens=32",
    "rollout.max_new_tokens=64",
    "eval.limit=2",
    ...stages.flatMap(({ gate }, index) => [
      `stages.${index}.steps=${STEPS}`,
      ...(gate === undefined
        ? []
        : [`stages.${index}.gate.zero_shot_em=0`, `stages.${index}.gate.questions=2`]),
    ]),
  ];
}

interface Ran {
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly Evaluation[];
  readonly titles: readonly string[];
  readonly checkpoints: readonly string[];
}

async function ran(name: string, overrides: readonly string[]): Promise<Ran> {
  const run = join(folder.path, "runs", name);
  const request = { stages: undefined, recipe: name, overrides, seed: undefined, run };
  await using opened = await openRun(request, "none");
  const steps: StepMetrics[] = [];
  const evaluations: Evaluation[] = [];
  const titles: string[] = [];
  const observer = observeAll([
    {
      onStep: (step) => void steps.push(step),
      onEval: (evaluation) => void evaluations.push(evaluation),
      onSample: (title) => void titles.push(title),
    },
  ]);
  await new TrainingLoop({ ...opened, observer, shouldStop: () => false }).run(opened.range);
  return { steps, evaluations, titles, checkpoints: opened.directory.checkpoints() };
}

for (const name of Object.keys(embeddedRecipes)) {
  const recipe = loadRecipe({ source: name });
  const family = familyOf(name, recipe);
  const isThere = family === undefined || fixture(family) !== undefined;
  const needs = isThere ? "" : " (its tokenizer needs npm's registry once)";

  describe.skipIf(!isThere)(`${name}${needs}`, () => {
    const names = recipe.stages.map((_, index) => stageName(index));
    let run: Ran;
    let queries: readonly string[];
    beforeAll(async () => {
      const before = retriever.queries.length;
      run = await ran(name, overridesFor(recipe, family));
      queries = retriever.queries.slice(before);
    });

    test("takes its stages' steps with their shots, the contract checked first", () => {
      expect(run.steps.map(({ stage, shots }) => `${stage} ${shots}`)).toEqual(
        recipe.stages.flatMap(({ shots }, i) => Array(STEPS).fill(`${names[i]} ${shots}`)),
      );
      expect(run.titles).toEqual(["contract check passed"]);
    });

    test("sampler and trainer agree, and every figure is a number", () => {
      for (const step of run.steps) {
        expect(step.logprobDifference.max).toBeLessThan(1e-3);
        for (const value of [step.loss, step.kl, step.gradNorm, step.reward, step.entropy])
          expect(Number.isFinite(value)).toBe(true);
      }
    });

    test("evaluates before and after each stage, and leaves a checkpoint a stage", () => {
      const label = (stage: string, shots: number): string => `${stage} ${shots}`;
      expect(run.evaluations.map(({ stage, shots }) => label(stage, shots))).toEqual(
        ["base", ...names].flatMap((each) => recipe.eval.shots.map((shots) => label(each, shots))),
      );
      expect(run.checkpoints).toEqual(names);
    });

    // nano without a demonstration neither searches nor is ever right.
    if (family === undefined && recipe.stages[0]!.shots === 0) return;
    test("calls its tool, and learns from rewards that differ", () => {
      expect(run.steps.some(({ toolCalls }) => toolCalls > 0)).toBe(true);
      expect(run.steps.some(({ gradNorm }) => gradNorm > 0)).toBe(true);
      if (recipe.tool["search"]?.kind !== "retriever") return;
      expect(queries).toContain(ANSWER);
    });
  });
}
