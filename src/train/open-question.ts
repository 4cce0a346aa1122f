// A policy opened to be asked a person's question: with its recipe's prompts, tools and limits, as
// it is trained, and no data.

import { demonstrationsForShots } from "../curriculum/demonstrations.ts";
import type { Recipe } from "../config/recipe.ts";
import { unscored } from "../reward/scorer.ts";
import { openToolbox } from "./open-tool.ts";
import { type PolicyAsked, policyAsked } from "./policy-asked.ts";
import { Session } from "./session.ts";
import { demonstrationsOf } from "./world.ts";

export interface QuestionAsked extends PolicyAsked {
  /** Demonstrations in the prompt; absent: as the policy was last trained. */
  readonly shots?: number | undefined;
}

export interface OpenedQuestion extends AsyncDisposable {
  /** "base" for a policy before training. */
  readonly stage: string;
  readonly step: number;
  readonly shots: number;
  readonly session: Session;
}

/** Throws UserError where something asked for is not there. The caller closes it. */
export async function openQuestion(asked: QuestionAsked): Promise<OpenedQuestion> {
  await using stack = new AsyncDisposableStack();
  const { stage, step, recipe, weights } = policyAsked(asked);
  const shots = asked.shots ?? shotsOf(recipe, stage);
  const demonstrations = demonstrationsOf(recipe);
  demonstrationsForShots(shots, recipe.stages, demonstrations);
  const toolbox = stack.use(await openToolbox(recipe));
  const none = { train: [], parts: [], notes: [], validation: [] };
  const parts = { ...none, demonstrations, toolbox, scorer: unscored };
  const session = stack.use(Session.open(recipe, weights, parts));
  const owned = stack.move();
  return { stage, step, shots, session, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Of the stage that a checkpoint is of; before training, the most that any stage shows. */
export function shotsOf({ stages }: Pick<Recipe, "stages">, stage: string): number {
  const number = /^stage(\d+)/.exec(stage)?.[1];
  const own = number === undefined ? undefined : stages[Number(number) - 1];
  return own?.shots ?? Math.max(...stages.map(({ shots }) => shots));
}
