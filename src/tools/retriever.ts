// The search tool over HTTP: the client of retrievers that speak the format of Search-R1's.
//   POST /retrieve {"queries": ["..."], "topk": 3, "return_scores": true}
//   -> {"result": [[{"document": {"id": "0", "contents": "\"Title\"\nbody"}, "score": 0.83}]]}
// Documents also come bare, without scores, without ids, or with title and text apart. Deadlines
// and retries are callTool's; a server that answers nonsense is an error of the call. Not here:
// search in this process (search.ts), a retriever's server.

import { z } from "zod";
import { oneLine, type Passage, splitContents } from "./passage.ts";
import type { RecordableTool } from "./recorded.ts";
import { DEFAULT_MAX_BYTES, MAX_DETAIL, parseJson, requestText } from "./request.ts";
import { renderPassages } from "./search.ts";
import { InvalidCallError, textSpec } from "./tool.ts";

export interface RetrieverOptions {
  /** Of the endpoint; a server's bare address means its /retrieve. */
  readonly url: string;
  readonly topK: number;
  /** Sent as Authorization: Bearer. */
  readonly token?: string | undefined;
}

export class RetrieverTool implements RecordableTool {
  private readonly endpoint: string;

  constructor(
    private readonly options: RetrieverOptions,
    readonly name = "search",
    readonly spec = textSpec(
      "Searches a collection of documents for what a query says.",
      "query",
      "what to look for",
    ),
  ) {
    this.endpoint = endpointOf(options.url);
  }

  get identity() {
    return { kind: "retriever", settings: { url: this.endpoint, topK: this.options.topK } };
  }

  normalise(input: string): string {
    const query = input.trim();
    if (query === "") throw new InvalidCallError("the search query is empty.");
    return query;
  }

  async call(input: string, signal: AbortSignal): Promise<string> {
    return renderPassages(await this.retrieve(this.normalise(input), signal), "titled");
  }

  /** Best first. Throws where the server can't be reached or doesn't speak the format. */
  async retrieve(query: string, signal: AbortSignal): Promise<readonly Passage[]> {
    const body = JSON.stringify({ queries: [query], topk: this.options.topK, return_scores: true });
    const { token } = this.options;
    const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const headers = { "content-type": "application/json", ...bearer };
    const url = this.endpoint;
    const request = { url, method: "POST", headers, body, maxBytes: DEFAULT_MAX_BYTES };
    return parsePassages(await requestText(request, signal)).slice(0, this.options.topK);
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
  const result = answerSchema.safeParse(parseJson(json, "the retriever's answer"));
  if (result.success) return result.data.result[0].map(passageOf);
  const { path } = result.error.issues[0]!;
  const place = path.length === 0 ? "the answer" : path.join(".");
  throw new Error(`not a retriever's answer at ${place}: ${json.slice(0, MAX_DETAIL)}`);
}

function passageOf(document: z.output<typeof documentSchema>, index: number): Passage {
  const name = document.id ?? String(index);
  if ("contents" in document) return { id: name, ...splitContents(document.contents) };
  return { id: name, title: document.title ?? "", text: oneLine(document.text) };
}
