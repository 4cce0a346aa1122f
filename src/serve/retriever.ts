// A retriever as other trainers expect it (Search-R1's format), over one BM25 index:
//   POST /retrieve {"queries": ["..."], "topk": 3, "return_scores": true}
//   -> {"result": [[{"document": {"id": "0", "contents": "\"Title\"\nbody"}, "score": 8.3}]]}
// With return_scores false, which is the default: {"result": [[{"id", "contents"}]]}. A list a
// query, best first; other keys are ignored. A search blocks the process; between two of them
// others get their turn. Not here: listening and tokens (server.ts).

import { Hono } from "hono";
import { z } from "zod";
import type { Bm25Index, Hit } from "../tools/bm25.ts";
import { readBody } from "./server.ts";

/** Of a request that does not say. */
const DEFAULT_TOP_K = 3;
const MAX_TOP_K = 1000;
const MAX_QUERIES = 4096;
/** Of a request's body: 4,096 queries of a kilobyte. */
export const MAX_RETRIEVE_BYTES = 4 * 2 ** 20;

const requestSchema = z.object({
  queries: z.array(z.string("a query is a text"), "a list of texts is wanted").max(MAX_QUERIES),
  topk: z.int(`a whole number, 1 to ${MAX_TOP_K}, is wanted`).min(1).max(MAX_TOP_K).nullish(),
  return_scores: z.boolean("true or false is wanted").nullish(),
});

export function retrieverRoutes(index: Bm25Index): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.json({ status: "ok", passages: index.size }));
  app.post("/retrieve", async (c) => {
    const { queries, topk, return_scores: withScores } = await readBody(c, requestSchema);
    const render = withScores === true ? withScore : plain;
    const result: object[][] = [];
    for await (const hits of searchInTurns(index, queries, topk ?? DEFAULT_TOP_K)) {
      result.push(hits.map(render));
    }
    return c.json({ result });
  });
  return app;
}

/** One event of the process waits no longer than this and one search. */
const MAX_BLOCK_MS = 10;

async function* searchInTurns(
  index: Bm25Index,
  queries: readonly string[],
  topK: number,
): AsyncGenerator<readonly Hit[]> {
  let begun = performance.now();
  for (const query of queries) {
    yield index.hits(query, topK);
    if (performance.now() - begun < MAX_BLOCK_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    begun = performance.now();
  }
}

const plain = ({ id, contents }: Hit): object => ({ id, contents });
const withScore = ({ id, contents, score }: Hit): object => ({
  document: { id, contents },
  score,
});
