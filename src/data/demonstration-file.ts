// Demonstrations as people write them: YAML, by default those inside the executable. An error says
// line and column. Whether they keep to a tag profile is rollout/demonstration-check.ts; which ones
// a stage shows is curriculum/demonstrations.ts.
//   - id: lighthouse
//     tool: search            # of every call below; absent: the first tool of the recipe
//     question: In which year was the lighthouse of Pell Harbour built?
//     turns:
//       - think: I need the year in which it was built.
//         call: lighthouse of Pell Harbour built
//         observation: |
//           Doc 1(Title: "Pell Harbour") The lighthouse was built in 1871.
//       - think: The passage says 1871.
//     answer: "1871"

import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { embeddedDemonstrations } from "../config/embedded.ts";
import { suggestion, UserError } from "../config/errors.ts";
import { type Path, yamlLayer } from "../config/layer.ts";
import { schemaError } from "../config/schema-errors.ts";
import type { Demonstration, DemonstrationTurn } from "../types.ts";

const text = z.string().trim().min(1);

const turn = z.strictObject({
  think: text,
  /** Which tool is called; absent: the demonstration's. */
  tool: text.optional(),
  /** What the tool is asked; absent in the turn that answers. */
  call: text.optional(),
  /** What it said. */
  observation: text.optional(),
});

const demonstration = z
  .strictObject({
    id: text,
    /** Which tool the calls are for; absent: the recipe's first. */
    tool: text.optional(),
    question: text,
    turns: z.array(turn).min(1),
    answer: text,
  })
  .check(({ value, issues }) => {
    if (issues.length > 0) return; // a misspelt key is not also a missing one
    value.turns.forEach((each, index) => {
      const message = turnFault(each, index === value.turns.length - 1);
      const path = ["turns", index];
      if (message !== undefined) issues.push({ code: "custom", input: value, path, message });
    });
  });

function turnFault(
  { tool, call, observation }: z.output<typeof turn>,
  isLast: boolean,
): string | undefined {
  if (isLast && call !== undefined) return "the last turn answers, without a call";
  if (!isLast && call === undefined) return "a turn before the last one needs a call";
  if (tool !== undefined && call === undefined) return "a tool is named, and not called";
  const isHalf = (call === undefined) !== (observation === undefined);
  return isHalf ? "call and observation go together" : undefined;
}

const fileSchema = z
  .array(demonstration)
  .min(1, "no demonstrations")
  .check(({ value, issues }) => {
    const ids = value.map(({ id }) => id);
    const twice = ids.findIndex((id, index) => ids.indexOf(id) < index);
    if (twice < 0) return;
    const message = `the id "${ids[twice]}" is used twice`;
    issues.push({ code: "custom", input: value, path: [twice, "id"], message });
  });

export interface DemonstrationFile {
  readonly name: string;
  /** In the order of the file, which is the order of showing where a stage names none. */
  readonly demonstrations: readonly Demonstration[];
  /** `file:line:column` of a part, such as [0, "turns", 1, "think"]. */
  place(path: Path): string;
}

/** A name inside the executable, or a file. Throws UserError. */
export function openDemonstrations(source: string): DemonstrationFile {
  const embedded = embeddedDemonstrations[source];
  if (embedded !== undefined) return parseDemonstrations(embedded, `${source}.yaml`);
  if (existsSync(source)) return parseDemonstrations(readFileSync(source, "utf8"), source);
  const isFile = /\.ya?ml$/.test(source);
  const what = isFile ? `there is no file "${source}"` : `unknown demonstrations "${source}"`;
  const hint = suggestion(source, Object.keys(embeddedDemonstrations));
  throw new UserError(what, { where: "demonstrations", hint });
}

/** `file` is what errors call it. */
export function parseDemonstrations(yaml: string, file: string): DemonstrationFile {
  const layer = yamlLayer(yaml, file);
  const result = fileSchema.safeParse(layer.value, { reportInput: true });
  if (!result.success) throw schemaError(result.error, (path) => layer.place(path), fileSchema);
  const demonstrations = result.data.map(({ id, tool, question, turns, answer }) => {
    return { id, question, turns: turns.map((each) => demonstrationTurn(each, tool)), answer };
  });
  return { name: file, demonstrations, place: (path) => layer.place(path) ?? file };
}

function demonstrationTurn(
  { think, tool, call, observation }: z.output<typeof turn>,
  usualTool: string | undefined,
): DemonstrationTurn {
  if (call === undefined || observation === undefined) return { think };
  const named = tool ?? usualTool;
  return { think, ...(named !== undefined && { tool: named }), toolCall: call, observation };
}
