// \boxed{...} in a text, with braces inside. Linear in the length of the text.

export interface Boxed {
  readonly content: string;
  readonly start: number; // of its content
}

/**
 * The one that begins last of those that are closed, so of nested ones the inner one; undefined
 * without any. An escaped brace is no brace.
 */
export function lastBoxed(text: string): Boxed | undefined {
  const opened: { readonly at: number; readonly isBox: boolean }[] = [];
  let last: Boxed | undefined;
  for (const { index: at, 0: token } of text.matchAll(/\\f?boxed\s*\{|\\[^]|[{}]/g)) {
    if (token === "}") {
      const { at: start, isBox } = opened.pop() ?? { at: 0, isBox: false };
      if (!isBox || (last !== undefined && start < last.start)) continue;
      last = { content: text.slice(start, at), start };
    } else if (token.endsWith("{") && token !== "\\{") {
      opened.push({ at: at + token.length, isBox: token.length > 1 });
    }
  }
  return last;
}
