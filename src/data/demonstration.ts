// A worked example over almanac facts or sums: think, call a tool, read, answer. The wording is
// ours and fixed; the rollout template puts it into the tags of the recipe.

import type { Demonstration, DemonstrationTurn } from "../types.ts";
import type { Chain, Relation } from "./relations.ts";
import { factOf, queryOf, questionOf } from "./relations.ts";
import { inSigns, inWords, lookupsOf, questionOfSum, type Sum, valueOf } from "./sums.ts";

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

/** Looks up what the question does not say, then computes. */
export function demonstrationOfSum(id: string, sum: Sum): Demonstration {
  const lookups = lookupsOf(sum).map(({ lookup: { relation, subject }, number }) =>
    lookUp(relation, subject, number),
  );
  const value = String(valueOf(sum));
  const compute: DemonstrationTurn = {
    think: `I need ${inWords(sum)}.`,
    tool: "python",
    toolCall: `print( ${inSigns(sum)} )`,
    observation: value,
  };
  const turns = [...lookups, compute, { think: `The result is ${value}.` }];
  return { id, question: questionOfSum(sum), turns, answer: value };
}

function lookUp(
  relation: Pick<Relation, "noun">,
  subject: string,
  object: string | number,
): DemonstrationTurn {
  return {
    think: `I need the ${relation.noun} of ${subject}.`,
    tool: "search",
    toolCall: queryOf(relation, subject),
    observation: factOf(relation, subject, object),
  };
}
