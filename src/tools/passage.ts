// A passage of a corpus and the one text that retrievers of the Search-R1 family keep of it:
//   "Title"
//   text, of any number of lines

export interface Passage {
  readonly id: string;
  readonly title?: string;
  readonly text: string;
}

/** What is searched, and what a retriever sends. Only a text of one line can do without a title. */
export function contentsOf({ title, text }: Pick<Passage, "title" | "text">): string {
  if (title === undefined && !text.includes("\n")) return text;
  return `"${oneLine(title ?? "")}"\n${text}`;
}

/** The first line is the title, usually in quotes; a single line is text without a title. */
export function splitContents(contents: string): { readonly title: string; readonly text: string } {
  const [first = "", ...rest] = contents.trim().split("\n");
  if (rest.length === 0) return { title: "", text: first };
  return { title: first.trim().replace(/^"(.*)"$/, "$1"), text: oneLine(rest.join("\n")) };
}

/** A passage is a line of the observation. */
export const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ");
