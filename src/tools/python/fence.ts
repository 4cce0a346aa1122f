// Code out of a Markdown fence: the last fenced block where there is one, else the text as it is.

const FENCE = /^[ \t]*```(?:python3?|py)?[ \t]*\n([^]*?)(?:^[ \t]*```[ \t]*$|(?![^]))/gim;

export function unwrapFence(text: string): string {
  const blocks = [...text.matchAll(FENCE)].map(([, code = ""]) => code);
  return (blocks.at(-1) ?? text).replace(/^\n+|\s+$/g, "");
}
