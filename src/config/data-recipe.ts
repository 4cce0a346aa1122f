// The recipe's data sources: a path, a glob or `almanac`, alone or in a list, each with what is
// kept of it. A lone one and a plain text are short for a list of {path}.

import { z } from "zod";

/** Paths that mean a world inside the executable. */
export const OWN_WORLDS = ["almanac", "sums", "almanac-sums"] as const;
export type OwnWorld = (typeof OWN_WORLDS)[number];
export const ALMANAC: OwnWorld = "almanac";

/** The search tool without an index knows the facts of these worlds. */
export const isOwnWorld = (path: string): path is OwnWorld =>
  OWN_WORLDS.some((world) => world === path);

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: "a text or a number" });
const condition = z.record(
  z.string(),
  z.union([scalar, z.array(scalar).min(1)], { error: "a text, a number, or a list of them" }),
);

const source = z
  .strictObject({
    path: z.string().min(1),
    /** Begins the ids of its questions; absent: folder and file name. */
    name: z.string().min(1).optional(),
    /** Its share of the questions asked is weight / sum of weights. */
    weight: z.number().positive().optional(),
    /** At most so many questions, the first ones. */
    limit: z.int().positive().optional(),
    /** Only rows whose columns have this value, or one of these; dots lead into objects. */
    where: condition.optional(),
    /** Without rows that have one of these. */
    except: condition.optional(),
    /** The columns of rows in no known format. */
    fields: z
      .strictObject({
        question: z.string().min(1),
        answer: z.string().min(1),
        id: z.string().min(1).optional(),
      })
      .optional(),
    /** Drops and counts rows that can't be read; otherwise the first one is an error. */
    skip_bad_rows: z.boolean().optional(),
  })
  .check(({ value, issues }) => {
    const { path, limit: _limit, weight: _weight, ...rest } = value;
    const other = Object.entries(rest).find(([, each]) => each !== undefined)?.[0];
    if (!isOwnWorld(path) || other === undefined) return;
    const message = `the ${path} has no rows or columns: only weight and limit`;
    issues.push({ code: "custom", input: value, path: [other], message });
  });

/** In the type and in a frozen recipe always a list of maps. */
export const sources = z.preprocess(asList, z.array(source).min(1));

function asList(value: unknown): unknown {
  const list = Array.isArray(value) ? value : [value];
  return list.map((each) => (typeof each === "string" ? { path: each } : each));
}
