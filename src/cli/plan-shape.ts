// The value of `--shape`: tokens of a step's rollouts, each of them optional. Pure.

import { UserError } from "../config/errors.ts";

export interface GivenShape {
  readonly shared?: number; // that all prompts begin with
  readonly own?: number; // of each prompt
  readonly sampled?: number; // of each rollout, over all turns
  readonly turns?: number;
  readonly observation?: number; // between two turns
}

const FIELDS = ["shared", "own", "sampled", "turns", "observation"] as const;
const SMALLEST = { shared: 0, own: 1, sampled: 1, turns: 1, observation: 0 };

/** "540,100,96", ",,400,3,500". */
export function parseShape(text: string): GivenShape {
  const parts = text.split(",").map((part) => part.trim());
  const values = parts.map((part, i) => [FIELDS[i], part === "" ? undefined : Number(part)]);
  const right = values.every(
    ([field, value]) =>
      field !== undefined &&
      (value === undefined ||
        (Number.isSafeInteger(value) && Number(value) >= SMALLEST[field as keyof GivenShape])),
  );
  if (right) return Object.fromEntries(values.filter(([, value]) => value !== undefined));
  const hint = `whole numbers: ${FIELDS.join(",")}, such as 540,100,96 or ,,400,3,500`;
  throw new UserError(`"${text}" is no value for --shape`, { hint, exitCode: 2 });
}
