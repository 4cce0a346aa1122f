// The search tool: a query in, the text of the best passages out. A few answers are kept by query,
// since the samples of a group often ask the same. Not here: the index (bm25.ts), and retrievers over
// HTTP.

import type { Bm25Index } from "./bm25.ts";
import type { Passage } from "./passage.ts";
import { InvalidCallError, textSpec, type Tool } from "./tool.ts";

/**
 * `plain`: one passage's text a line. `titled`: `Doc 1(Title: "T") text`, as retrievers of the
 * Search-R1 family print.
 */
export type PassageStyle = "plain" | "titled";

export interface SearchOptions {
  readonly topK: number;
  readonly style: PassageStyle;
}

/** Kept answers; what was not asked for longest goes first. */
const MAX_KEPT = 1024;

export class SearchTool implements Tool {
  readonly name = "search";
  readonly spec = textSpec(
    "Searches a collection of documents for what a query says.",
    "query",
    "what to look for",
  );
  private readonly kept = new Map<string, string>();

  constructor(
    private readonly index: Bm25Index,
    private readonly options: SearchOptions,
  ) {}

  call(input: string): string {
    const query = input.trim();
    if (query === "") throw new InvalidCallError("the search query is empty.");
    const { topK, style } = this.options;
    const answer = this.kept.get(query) ?? renderPassages(this.index.search(query, topK), style);
    this.keep(query, answer);
    return answer;
  }

  private keep(query: string, answer: string): void {
    this.kept.delete(query); // to the end
    this.kept.set(query, answer);
    if (this.kept.size > MAX_KEPT) this.kept.delete(this.kept.keys().next().value!);
  }
}

export function renderPassages(passages: readonly Passage[], style: PassageStyle): string {
  if (passages.length === 0) return "No results found.";
  if (style === "plain") return passages.map(({ text }) => text).join("\n");
  return passages
    .map(({ title, text }, i) => `Doc ${i + 1}(Title: "${title ?? ""}") ${text}`)
    .join("\n");
}
