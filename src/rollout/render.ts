// One rollout for the eye: its text in the colours of who wrote it. Prompt dim, policy green,
// observation blue; plain text, with marks where the author changes, when the output is not a
// terminal. Not here: choosing a rollout, writing it anywhere.

import type { Rollout } from "../types.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { Role } from "../types.ts";

const COLOURS: Readonly<Record<Role, string>> = {
  [Role.prompt]: "2",
  [Role.policy]: "32",
  [Role.observation]: "34",
};
const MARKS: Readonly<Record<Role, string>> = {
  [Role.prompt]: "[prompt]",
  [Role.policy]: "[policy]",
  [Role.observation]: "[observation]",
};

export function renderRollout(rollout: Rollout, tokenizer: Tokenizer, colour: boolean): string {
  return roleRuns(rollout.roles_L)
    .map(({ role, start, end }) => {
      const text = visible(tokenizer.decode(rollout.tokens_L.subarray(start, end)));
      return colour
        ? painted(text, COLOURS[role])
        : `${MARKS[role]}\n${text}${text.endsWith("\n") ? "" : "\n"}`;
    })
    .join("");
}

interface RoleRun {
  readonly role: Role;
  readonly start: number;
  readonly end: number;
}

function roleRuns(roles_L: Uint8Array): RoleRun[] {
  const runs: RoleRun[] = [];
  for (let start = 0, end = 0; start < roles_L.length; start = end) {
    const role = roles_L[start] as Role;
    while (end < roles_L.length && roles_L[end] === role) end++;
    runs.push({ role, start, end });
  }
  return runs;
}

/** Each line by itself, so that a pager keeps the colour. */
const painted = (text: string, colour: string): string =>
  text.replace(/[^\n]+/g, (line) => `\u001b[${colour}m${line}\u001b[0m`);

/** Sampled text may hold control characters; none reaches the terminal. */
const visible = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\u00b7");
