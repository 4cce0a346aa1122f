// Serper's web search: POST /search with the key in X-API-KEY.
//   {"q": "...", "num": 3, "gl": "us", "hl": "en"}
//   -> {"answerBox": {...}, "knowledgeGraph": {...}, "organic": [{"title", "link", "snippet"}]}
// What the policy reads are numbered documents, as a retriever's: answer box and knowledge graph,
// where there are any, come before the results. Not here: the key's place (train/open-tool.ts).

import { z } from "zod";
import type { Passage } from "./passage.ts";
import type { RecordableTool } from "./recorded.ts";
import { DEFAULT_MAX_BYTES, MAX_DETAIL, parseJson, requestText, StatusError } from "./request.ts";
import { renderPassages } from "./search.ts";
import { InvalidCallError, textSpec, type ToolSpec } from "./tool.ts";

export interface SerperOptions {
  readonly url: string;
  readonly key: string;
  readonly topK: number;
  readonly gl?: string | undefined;
  readonly hl?: string | undefined;
}

export class SerperTool implements RecordableTool {
  constructor(
    readonly name: string,
    private readonly options: SerperOptions,
    readonly spec: ToolSpec = textSpec("Searches the web.", "query", "what to look for"),
  ) {}

  get identity() {
    const { url, topK, gl, hl } = this.options;
    return { kind: "serper", settings: { url, topK, gl, hl } };
  }

  normalise(input: string): string {
    const query = input.trim();
    if (query === "") throw new InvalidCallError("the search query is empty.");
    return query;
  }

  async call(input: string, signal: AbortSignal): Promise<string> {
    const { url, key, topK, gl, hl } = this.options;
    const body = JSON.stringify({ q: this.normalise(input), num: topK, gl, hl });
    const headers = { "content-type": "application/json", "x-api-key": key };
    const request = { url, method: "POST", headers, body, maxBytes: DEFAULT_MAX_BYTES };
    try {
      const passages = parseResults(await requestText(request, signal));
      return renderPassages(passages.slice(0, topK), "titled");
    } catch (error) {
      if (error instanceof StatusError && error.status === 400) {
        throw new InvalidCallError("the search query was refused.");
      }
      throw error;
    }
  }
}

const text = z.union([z.string(), z.number()]).transform(String).optional();
const resultsSchema = z.object({
  answerBox: z.object({ title: text, answer: text, snippet: text }).optional(),
  knowledgeGraph: z.object({ title: text, type: text, description: text }).optional(),
  organic: z.array(z.object({ title: text, snippet: text })).optional(),
});

/** Best first. Throws where it is no answer of Serper's. */
export function parseResults(json: string): Passage[] {
  const parsed = resultsSchema.safeParse(parseJson(json, "the web search's answer"));
  if (!parsed.success || Object.keys(parsed.data).length === 0) {
    throw new Error(`not an answer of Serper's: ${json.slice(0, MAX_DETAIL)}`);
  }
  const { answerBox: box, knowledgeGraph: graph, organic = [] } = parsed.data;
  const found = [
    { title: box?.title, texts: [box?.answer, box?.snippet] },
    { title: graph?.title, texts: [graph?.type, graph?.description] },
    ...organic.map(({ title, snippet }) => ({ title, texts: [snippet] })),
  ];
  return found.flatMap(({ title, texts }, index) => {
    const said = texts.filter((each) => each !== undefined && each.trim() !== "");
    if (said.length === 0) return [];
    return [{ id: String(index), title: oneLine(title ?? ""), text: oneLine(said.join(". ")) }];
  });
}

const oneLine = (value: string): string => value.trim().replace(/\s*\n\s*/g, " ");
