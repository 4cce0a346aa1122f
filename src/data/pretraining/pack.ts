// Packs documents into rows of equal length: <|endoftext|> document <|endoftext|> document ... No
// document is cut, so no question is ever seen without the examples that stood before it. What is
// left at a row's end is filled with <|endoftext|>.

/**
 * Rows of `length` tokens, forever. `next` gives a document's tokens without <|endoftext|>; those
 * too long for a row are dropped.
 */
export function* packRows(
  next: () => readonly number[],
  length: number,
  endOfText: number,
  waiting = 256,
): Generator<Int32Array> {
  const draw = (): readonly number[] => {
    for (;;) {
      const document = next();
      if (document.length < length) return document;
    }
  };
  const buffer = Array.from({ length: waiting }, draw);
  for (;;) {
    const row = new Int32Array(length).fill(endOfText);
    let filled = 0;
    for (let i = bestFit(buffer, length - 1); i >= 0; i = bestFit(buffer, length - filled - 1)) {
      const document = buffer[i] as readonly number[];
      buffer[i] = draw();
      row.set(document, filled + 1);
      filled += document.length + 1;
    }
    yield row;
  }
}

/** The longest waiting document that fits; -1 where none does. */
function bestFit(buffer: readonly (readonly number[])[], room: number): number {
  let best = -1;
  for (const [i, { length }] of buffer.entries())
    if (length <= room && (best < 0 || length > (buffer[best] as readonly number[]).length))
      best = i;
  return best;
}
