// A worked example over almanac facts: think, look up, read, answer. The wording is ours and fixed;
// the rollout template puts it into the tags of the recipe.

import type { Demonstration, DemonstrationTurn } from "../types.ts";
import type { Chain, Relation } from "./relations.ts";
import { factOf, queryOf, questionOf } from "./relations.ts";

/** `hops`: the entity asked about, the entity between (two hops only), the answer. */
export function demonstrationOf(id: string, chain: Chain, hops: readonly string[]): Demonstration {
  const lookups = chain.map((relation, i) =>
    lookUp(relation, hops[i] as string, hops[i + 1] as string),
  );
  const answer = hops[chain.length] as string;
  const last = chain.at(-1) as Relation;
  const turns = [...lookups, { think: `The ${last.noun} is ${answer}.` }];
  return { id, question: questionOf(chain, hops[0] as string), turns, answer };
}

function lookUp(relation: Relation, subject: string, object: string): DemonstrationTurn {
  return {
    think: `I need the ${relation.noun} of ${subject}.`,
    toolCall: queryOf(relation, subject),
    observation: factOf(relation, subject, object),
  };
}
