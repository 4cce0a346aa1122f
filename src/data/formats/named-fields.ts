// Rows of any shape, whose columns the recipe names: `fields: {question: a, answer: b, id: c}`. Dots
// lead into objects; a list of chat messages means what its user says.
//   {"task": {"text": "Which river runs through Orn?"}, "label": "Sil"}
//   fields: {question: task.text, answer: label}

import { valueAt, type Row } from "../row.ts";
import { RowFault, type SourceFormat, task, text } from "./format.ts";
import { targets, userText } from "./verl.ts";

export interface FieldNames {
  readonly question: string;
  readonly answer: string;
  readonly id?: string | undefined;
}

export function namedFields({ question, answer, id }: FieldNames): SourceFormat {
  const names = id === undefined ? [question, answer] : [question, answer, id];
  return {
    name: "fields",
    shape: `{${names.map((name) => JSON.stringify(name)).join(", ")}}`,
    columns: names.flatMap((name) => [name, name.split(".")[0]!]),
    matches: () => true,
    read(row) {
      const rowId = id === undefined ? undefined : readText(row, id);
      return task(rowId, readText(row, question), readGolds(row, answer));
    },
  };
}

function readText(row: Row, name: string): string {
  const value = valueAt(row, name);
  if (Array.isArray(value)) return userText(value);
  const parsed = text.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RowFault(`${name}: ${parsed.error.issues[0]!.message}`);
}

function readGolds(row: Row, name: string): string[] {
  try {
    return targets(valueAt(row, name));
  } catch (error) {
    const why = (error as Error).message.replace(/^[^:]*: /, "");
    throw new RowFault(`${name}: ${why}`);
  }
}
