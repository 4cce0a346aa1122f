// The grammar of the almanac world: what can be said of an entity, asked about it, and looked up.
// Shared by the almanac and by the pretraining documents, which use the same sentences over other
// entities. One sentence, for example:
//   fact      "The river of Tasurik is Velmor."
//   question  "What is the river of Tasurik?"
//             "What is the river of the birthplace of Kelnor?" (two hops)
//   query     "river of Tasurik"
// Every word of a query occurs in its fact, and no relation stays within one kind of entity ("the
// mentor of"), since a fact read backwards has the same words: otherwise the search would miss it.

export type EntityKind = "person" | "town" | "land" | "book" | "river" | "guild";

/** A relation is named by the noun that its sentences use. */
export interface Relation {
  readonly noun: string;
  readonly subject: EntityKind;
  readonly object: EntityKind;
}

const relation = (noun: string, subject: EntityKind, object: EntityKind): Relation => ({
  noun,
  subject,
  object,
});

export const BIRTHPLACE = relation("birthplace", "person", "town");
export const GUILD = relation("guild", "person", "guild");
export const LAND = relation("land", "town", "land");
export const FOUNDER = relation("founder", "town", "person");
export const RIVER = relation("river", "town", "river");
export const RULER = relation("ruler", "land", "person");
export const CAPITAL = relation("capital", "land", "town");
export const WRITER = relation("writer", "book", "person");

export const RELATIONS: readonly Relation[] = [
  BIRTHPLACE,
  GUILD,
  LAND,
  FOUNDER,
  RIVER,
  RULER,
  CAPITAL,
  WRITER,
];

/**
 * Relations in the order in which they are looked up: [first, second] asks for the second of the
 * first of an entity.
 */
export type Chain = readonly [Relation] | readonly [Relation, Relation];

export const ONE_HOP: readonly Chain[] = RELATIONS.map((one) => [one]);
export const TWO_HOP: readonly Chain[] = [
  [BIRTHPLACE, RIVER],
  [BIRTHPLACE, LAND],
  [WRITER, BIRTHPLACE],
  [WRITER, GUILD],
  [CAPITAL, FOUNDER],
  [RULER, GUILD],
];

/** `relation`: also one whose object is a number (sums.ts). */
export const factOf = (
  relation: Pick<Relation, "noun">,
  subject: string,
  object: string | number,
): string =>
  `The ${relation.noun} of ${subject} is ${object}.`;

export const queryOf = ({ noun }: Pick<Relation, "noun">, subject: string): string =>
  `${noun} of ${subject}`;

/** "the river of the birthplace of Kelnor" */
export const phraseOf = (chain: readonly Pick<Relation, "noun">[], subject: string): string =>
  chain.reduce((inner, { noun }) => `the ${noun} of ${inner}`, subject);

export function questionOf(chain: Chain, subject: string): string {
  const asksForPerson = (chain.at(-1) as Relation).object === "person";
  return `${asksForPerson ? "Who" : "What"} is ${phraseOf(chain, subject)}?`;
}
