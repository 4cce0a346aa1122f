// Rows of JSONL, one object a line, read as a stream. Each line is parsed on its own, because its
// number is what an error has to say; Bun.JSONL would keep what came before an error and be silent.

import { UserError } from "../config/errors.ts";
import { isRow, type NumberedRow, type ReadWatch, type Row, unreadable } from "./row.ts";

const BATCH_ROWS = 4096;

/**
 * Empty lines are skipped and counted. Throws UserError at the first line that is no object, unless
 * somebody takes such lines.
 */
export async function* jsonlRows(
  chunks: AsyncIterable<string>,
  path: string,
  { onBadRow }: ReadWatch = {},
): AsyncGenerator<readonly NumberedRow[]> {
  let batch: NumberedRow[] = [];
  let number = 0;
  for await (const lines of lineGroups(chunks)) {
    for (const line of lines) {
      number++;
      if (line.trim() === "") continue;
      const row = parseLine(line, `${path}:${number}`);
      if (!(row instanceof UserError)) batch.push({ row, number });
      else if (onBadRow !== undefined) onBadRow(row, number);
      else throw row;
    }
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The lines that each chunk completes. */
async function* lineGroups(chunks: AsyncIterable<string>): AsyncGenerator<readonly string[]> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = chunk.split("\n");
    lines[0] = rest + lines[0]!;
    rest = lines.pop()!;
    yield lines;
  }
  yield [rest];
}

function parseLine(line: string, where: string): Row | UserError {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    const why = (error as Error).message.replace(/^JSON Parse error: /, "");
    return new UserError(`not JSON: ${why}`, {
      where,
      hint: "one object a line",
    });
  }
  if (isRow(value)) return value;
  return new UserError("not a JSON object", {
    where,
    hint: "one object a line",
  });
}

/** UTF-8 text without a byte order mark. Errors of the file become UserErrors. */
export async function* textChunks(
  stream: ReadableStream<Uint8Array>,
  path: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const bytes of stream) yield decoder.decode(bytes, { stream: true });
    yield decoder.decode();
  } catch (error) {
    throw error instanceof UserError ? error : unreadable(error, path);
  }
}
