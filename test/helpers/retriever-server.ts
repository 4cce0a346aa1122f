// A retriever for tests, on a port of this machine, in the format of Search-R1's. It finds the same
// passages whatever is asked, and notes what that was. A request in another format is refused.

import { z } from "zod";

const requestSchema = z.strictObject({
  queries: z.array(z.string().min(1)),
  topk: z.int().positive(),
  return_scores: z.literal(true),
});

export interface RetrieverServer extends Disposable {
  readonly url: string;
  readonly queries: readonly string[];
}

/** `passages`: a title and a text each. */
export function serveRetriever(passages: readonly (readonly [string, string])[]): RetrieverServer {
  const queries: string[] = [];
  const hits = passages.map(([title, text], i) => ({
    document: { id: String(i), contents: `"${title}"\n${text}` },
    score: 1 / (i + 1),
  }));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const asked = requestSchema.safeParse(await request.json());
      const isRetrieve = new URL(request.url).pathname === "/retrieve";
      if (!isRetrieve || !asked.success) return new Response("", { status: 422 });
      const { queries: batch, topk } = asked.data;
      queries.push(...batch);
      return Response.json({ result: batch.map(() => hits.slice(0, topk)) });
    },
  });
  const url = new URL("retrieve", server.url).href;
  return { url, queries, [Symbol.dispose]: () => void server.stop(true) };
}
