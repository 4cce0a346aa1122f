// What `icrl data` says, as data and as text. Reads no files.

import type { Recipe } from "../config/recipe.ts";
import { chooseDemonstrations } from "../curriculum/demonstrations.ts";
import type { Dataset } from "../data/dataset.ts";
import type { LoadedSource } from "../data/source.ts";
import { tagProfile } from "../reward/tags.ts";
import { renderQuestion } from "../rollout/demonstration-text.ts";
import { renderPreamble } from "../rollout/template.ts";
import { fitsContext, longestTemplate, maxPromptTokens } from "../train/fit.ts";
import { closedToolbox } from "../train/open-tool.ts";
import { type PromptModel, toolTags } from "../train/prompt-model.ts";
import { promptTemplate, promptText } from "../train/prompt-text.ts";
import type { Demonstration, Task } from "../types.ts";
import { harmless } from "./screen/style.ts";

export interface DataRequest {
  readonly recipe: Recipe;
  readonly sources: readonly LoadedSource[];
  /** Of a recipe: what is made of the sources. */
  readonly dataset: Dataset | undefined;
  readonly demonstrations: readonly Demonstration[];
  /** Or why there is none. */
  readonly model: PromptModel | string;
}
export interface ShownPrompt {
  readonly id: string;
  readonly golds: readonly string[];
  readonly text: string;
  /** Where the question begins; what is before is the same in every prompt. */
  readonly sharedLength: number;
  /** With what the chat template puts around it; absent without a model. */
  readonly tokens?: number;
}
export interface SourceReport {
  readonly name: string;
  readonly files: LoadedSource["files"];
  readonly counts: LoadedSource["counts"];
  readonly questions: number;
  /** Ids of questions that a run drops, their prompts being too long; absent without a model. */
  readonly tooLong?: readonly string[];
}
export interface DataReport {
  readonly recipe: string;
  readonly shots: number;
  readonly maxPromptTokens: number;
  /** Why no tokens were counted. */
  readonly noTokens?: string;
  readonly sources: readonly SourceReport[];
  /** Questions that a run of the recipe has, before those that are too long go. */
  readonly run?: { readonly train: number; readonly validation: number } & Dataset["dropped"];
  readonly prompts: readonly ShownPrompt[];
}

export function describeData(request: DataRequest): DataReport {
  const { recipe, sources, model } = request;
  return {
    recipe: recipe.name,
    shots: recipe.stages[0]!.shots,
    maxPromptTokens: maxPromptTokens(recipe),
    ...(typeof model === "string" && { noTokens: model }),
    sources: sources.map((source) => sourceReport(request, source)),
    ...(request.dataset !== undefined && { run: runReport(request.dataset) }),
    prompts: threeOf(sources.flatMap(({ tasks }) => tasks)).map(promptOf(request)),
  };
}

function runReport({ parts, validation, dropped }: Dataset): NonNullable<DataReport["run"]> {
  const train = parts.reduce((sum, { tasks }) => sum + tasks.length, 0);
  return { train, validation: validation.length, ...dropped };
}

function sourceReport(
  { recipe, demonstrations, model }: DataRequest,
  { name, files, counts, tasks }: LoadedSource,
): SourceReport {
  const report = { name, files, counts, questions: tasks.length };
  if (typeof model === "string") return report;
  const template = longestTemplate(recipe, demonstrations, model);
  const long = tasks.filter(({ question }) => !fitsContext(recipe, template, question));
  return { ...report, tooLong: long.map(({ id }) => id) };
}

/** The first, the middle and the last one. */
function threeOf(tasks: readonly Task[]): readonly Task[] {
  const last = tasks.length - 1;
  return [...new Set([0, Math.floor(last / 2), last])].map((index) => tasks[index]!);
}

function promptOf({ recipe, demonstrations, model }: DataRequest): (task: Task) => ShownPrompt {
  const shown = chooseDemonstrations(recipe.stages[0]!, demonstrations);
  const tags = tagProfile(recipe.tags, toolTags(closedToolbox(recipe)));
  const words = promptText(recipe.prompt, tags);
  const before = renderPreamble(words, tags, shown);
  const template = typeof model === "string" ? undefined : promptTemplate(recipe, shown, model);
  return ({ id, question, golds }) => {
    const text = before + renderQuestion(words, question);
    const shared = { id, golds, text, sharedLength: before.length };
    return template === undefined
      ? shared
      : { ...shared, tokens: template.render(question).numTokens };
  };
}

export function reportText(report: DataReport): string {
  const sources = report.sources.flatMap((source) => sourceLines(source, report));
  const prompts = report.prompts.flatMap((_, index) => promptLines(report, index));
  return [...sources, ...runLines(report), "", ...prompts].join("\n");
}

/** The first prompt is shown whole, of the others what differs. */
function promptLines({ prompts, shots }: DataReport, index: number): string[] {
  const { tokens, text, sharedLength, golds, id } = prompts[index]!;
  const size = tokens === undefined ? `${text.length} characters` : `${tokens} tokens`;
  const own = `[${sharedLength} characters as before]\n${text.slice(sharedLength)}`;
  const shown = index === 0 ? text : own;
  return [
    `-- prompt ${index + 1} of ${prompts.length}: ${id}, ${size}, ${shots} shots`,
    ...shown.trimEnd().split("\n"),
    `-- accepted: ${golds.join(" | ")}`,
    "",
  ].map(harmless);
}

function runLines({ recipe, run }: DataReport): string[] {
  if (run === undefined) return [];
  const { train, validation, repeated, heldOut } = run;
  const notes = [
    ...(repeated > 0 ? [`${repeated} are in two sources and kept once`] : []),
    ...(heldOut > 0 ? [`${heldOut} are held out and not trained on`] : []),
  ];
  const made = `a run of ${recipe} trains on ${train} questions and is evaluated on ${validation}`;
  return ["", [made, ...notes].join("; ")];
}

function sourceLines(source: SourceReport, report: DataReport): string[] {
  const { name, files, counts, questions } = source;
  const lines = files.map(({ path, kind, isGzipped, format }) =>
    harmless(`  ${path}  ${kind}${isGzipped ? ", gzip" : ""}: ${format} rows`),
  );
  const columns = files[0]?.schema.map(({ name: column, type }) => `${column}: ${clip(type)}`);
  return [
    harmless(name),
    ...lines,
    ...(columns === undefined ? [] : [harmless(`  columns    ${columns.join(", ")}`)]),
    `  rows       ${counts.rows}`,
    ...droppedLines(counts),
    `  questions  ${questions}`,
    `  too long   ${tooLongText(source, report)}`,
  ];
}

function droppedLines({ filtered, duplicates, leftOut }: SourceReport["counts"]): string[] {
  return [
    ...(filtered > 0 ? [`  filtered   ${filtered}`] : []),
    ...(duplicates > 0 ? [`  repeated   ${duplicates}`] : []),
    ...Object.entries(leftOut).map(([why, count]) => `  left out   ${count}: ${why}`),
  ];
}

function tooLongText({ tooLong }: SourceReport, report: DataReport): string {
  const limit = `${report.maxPromptTokens} tokens of a prompt (${report.recipe})`;
  if (tooLong === undefined) {
    const why = report.noTokens ?? "";
    return harmless(`not counted, for want of a tokenizer: ${why} - give one with --model`);
  }
  if (tooLong.length === 0) return `0: every prompt keeps within the ${limit}`;
  const some = tooLong.slice(0, 3).join(", ");
  const more = tooLong.length > 3 ? ", ..." : "";
  return harmless(
    `${tooLong.length} beyond the ${limit}: dropped before a run, never cut (${some}${more})`,
  );
}

const MAX_TYPE = 60;
const clip = (type: string): string =>
  type.length <= MAX_TYPE ? type : `${type.slice(0, MAX_TYPE)}...`;
