// The header of a pretraining document: an introduction and what each mark of its protocol is for.
// The real instruction and its lines are not among these (audit.ts counts).

import type { Random } from "../random.ts";
import type { Kit, Protocol } from "./protocol.ts";
import { rolesOf, wrap } from "./protocol.ts";
import type { TagRole } from "./words.ts";
import {
  BOTH_INTRODUCTIONS,
  COMPUTING_INTRODUCTIONS,
  DESCRIPTIONS,
  LOOKUP_INTRODUCTIONS,
} from "./words.ts";

type HeaderStyle = "marks" | "named" | "legend" | "sentence";

const INTRODUCTIONS: Readonly<Record<Kit, readonly string[]>> = {
  lookup: LOOKUP_INTRODUCTIONS,
  code: COMPUTING_INTRODUCTIONS,
  both: BOTH_INTRODUCTIONS,
};

export function headerOf(protocol: Protocol, random: Random): string {
  const roles = rolesOf(protocol);
  const style = random.weighted<HeaderStyle>([
    [6, "marks"],
    [2, "named"],
    [1, "legend"],
    [1, "sentence"],
  ]);
  const lines = roles.map((role) =>
    describe(protocol, role, random.pick(DESCRIPTIONS[role]), style),
  );
  const body = style === "sentence" ? `Write ${lines.join(", ")}.` : lines.join("\n");
  return `${random.pick(INTRODUCTIONS[protocol.kit])}\n${body}`;
}

function describe(
  protocol: Protocol,
  role: TagRole,
  description: string,
  style: HeaderStyle,
): string {
  switch (style) {
    case "marks":
      return wrap(protocol, role, description);
    case "named":
      return `${description}: ${wrap(protocol, role, "...")}`;
    case "legend":
      return `${protocol.words[role]} = ${description}`;
    case "sentence":
      return `${description} as ${protocol.words[role]}`;
  }
}
