// The search tool over HTTP: the client of retrievers that speak the format of Search-R1's.
//   POST /retrieve {"queries": ["..."], "topk": 3, "return_scores": true}
//   -> {"result": [[{"document": {"id": "0", "contents": "\"Title\"\nbody"}, "score": 0.83}]]}
// Documents also come bare, without scores, without ids, or with title and text apart. An answer is
// kept by query. Deadlines and retries are callTool's; a server that answers nonsense is an error
// of the call. Not here: search in this process (search.ts), a retriever's server.

import { z } from "zod";
import type { Passage } from "./bm25.ts";
import { renderPassages } from "./search.ts";
import { InvalidCallError, textSpec, type Tool } from "./tool.ts";

export interface RetrieverOptions {
  /** Of the endpoint; a server's bare address means its /retrieve. */
  readonly url: string;
  readonly topK: number;
}

/** Kept answers; the oldest goes first. */
const MAX_KEPT = 8192;
/** Of an error's body that people see. */
const MAX_DETAIL = 200;

export class RetrieverTool implements Tool {
  readonly name = "search";
  readonly spec = textSpec(
    "Searches a collection of documents for what a query says.",
    "query",
    "what to look for",
  );
  private readonly endpoint: string;
  private readonly kept = new Map<string, string>();

  constructor(private readonly options: RetrieverOptions) {
    this.endpoint = endpointOf(options.url);
  }

  async call(input: string, signal: AbortSignal): Promise<string> {
    const query = input.trim();
    if (query === "") throw new InvalidCallError("the search query is empty.");
    const kept = this.kept.get(query);
    if (kept !== undefined) return kept;
    const answer = renderPassages(await this.retrieve(query, signal), "titled");
    if (this.kept.size === MAX_KEPT) this.kept.delete(this.kept.keys().next().value!);
    this.kept.set(query, answer);
    return answer;
  }

  /** Best first. Throws where the server can't be reached or doesn't speak the format. */
  async retrieve(query: string, signal: AbortSignal): Promise<readonly Passage[]> {
    const body = JSON.stringify({ queries: [query], topk: this.options.topK, return_scores: true });
    const headers = { "content-type": "application/json" };
    const response = await fetch(this.endpoint, { method: "POST", headers, body, signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`HTTP ${response.status}: ${text.slice(0, MAX_DETAIL)}`);
    return parsePassages(text).slice(0, this.options.topK);
  }
}

function endpointOf(url: string): string {
  const parsed = new URL(url);
  if (parsed.pathname === "/") parsed.pathname = "/retrieve";
  return parsed.href;
}

const id = z.union([z.string(), z.number()]).transform(String).nullish();
const documentSchema = z.union([
  z.object({ id, contents: z.string() }),
  z.object({ id, title: z.string().nullish(), text: z.string() }),
]);
const hitSchema = z.union([
  z.object({ document: documentSchema }).transform(({ document }) => document),
  documentSchema,
]);
const answerSchema = z.object({ result: z.tuple([z.array(hitSchema)], z.unknown()) });

/** The passages for the one query of a request. */
export function parsePassages(json: string): Passage[] {
  const result = answerSchema.safeParse(parseJson(json));
  if (result.success) return result.data.result[0].map(passageOf);
  const { path } = result.error.issues[0]!;
  const place = path.length === 0 ? "the answer" : path.join(".");
  throw new Error(`not a retriever's answer at ${place}: ${json.slice(0, MAX_DETAIL)}`);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new Error(`the retriever's answer is not JSON: ${json.slice(0, MAX_DETAIL)}`);
  }
}

function passageOf(document: z.output<typeof documentSchema>, index: number): Passage {
  const name = document.id ?? String(index);
  if ("contents" in document) return { id: name, ...splitContents(document.contents) };
  return { id: name, title: document.title ?? "", text: oneLine(document.text) };
}

/** The first line is the title, usually in quotes; a single line is text without a title. */
function splitContents(contents: string): { readonly title: string; readonly text: string } {
  const [first = "", ...rest] = contents.trim().split("\n");
  if (rest.length === 0) return { title: "", text: first };
  return { title: first.trim().replace(/^"(.*)"$/, "$1"), text: oneLine(rest.join("\n")) };
}

/** A passage is a line of the observation. */
const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ");
