// Rows of one JSON document: a list of objects, or an object that holds one such list (the
// originals of some data sets: {"version": "1.0", "data": [...]}). It is read whole.

import { UserError } from "../config/errors.ts";
import { isRow, type NumberedRow, type Row } from "./row.ts";

export async function* jsonRows(
  chunks: AsyncIterable<string>,
  path: string,
): AsyncGenerator<readonly NumberedRow[]> {
  const text = (await Array.fromAsync(chunks)).join("");
  yield rowsOf(parse(text, path), path).map((row, index) => ({
    row,
    number: index + 1,
  }));
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = (error as Error).message.replace(/^JSON Parse error: /, "");
    throw new UserError(`not JSON: ${why}`, {
      where: path,
      hint: "is the file complete?",
    });
  }
}

function rowsOf(value: unknown, path: string): readonly Row[] {
  const hint = "a list of objects, or an object that holds one such list";
  const list = Array.isArray(value) ? value : onlyList(value);
  if (list === undefined) throw new UserError("no list of rows", { where: path, hint });
  const wrong = list.findIndex((each) => !isRow(each));
  if (wrong < 0) return list as Row[];
  throw new UserError("not an object", {
    where: `${path} row ${wrong + 1}`,
    hint,
  });
}

function onlyList(value: unknown): readonly unknown[] | undefined {
  const lists = Object.values(value as Row).filter((each) => Array.isArray(each));
  return lists.length === 1 ? (lists[0] as readonly unknown[]) : undefined;
}
