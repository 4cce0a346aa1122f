import { describe, expect, test } from "bun:test";
import { RetrieverTool } from "../../src/tools/retriever.ts";
import { callTool, type CallPolicy } from "../../src/tools/tool.ts";
import type { ToolCall } from "../../src/types.ts";

const POLICY: CallPolicy = { deadlineMs: 5000, retries: 0, backoffMs: 1 };

/** A retriever on a free port, and what it was asked. */
function serve(answer: (attempt: number) => Response | Promise<Response>) {
  const asked: { path: string; body: unknown }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      asked.push({ path: new URL(request.url).pathname, body: await request.json() });
      return answer(asked.length);
    },
  });
  return { url: server.url.href, asked, [Symbol.dispose]: () => void server.stop(true) };
}

const search = (url: string, query = "orn", policy = POLICY): Promise<ToolCall> =>
  callTool(new RetrieverTool({ url, topK: 2 }), query, policy);

const contents = '"Orn"\nOrn is a town\non the Sil.';
const seen = 'Doc 1(Title: "Orn") Orn is a town on the Sil.';

describe("every form in which documents come gives the same observation", () => {
  const table: readonly [claim: string, hit: unknown][] = [
    ["document and score", { document: { id: "0", contents }, score: 0.83 }],
    ["document without a score", { document: { id: 0, contents } }],
    ["document without an id", { document: { contents }, score: null }],
    ["no scores asked", { id: "0", contents }],
    ["contents alone", { contents }],
    [
      "title and text apart",
      { document: { id: "0", title: "Orn", text: "Orn is a town on the Sil." } },
    ],
    ["a title without quotes", { contents: contents.replaceAll('"', "") }],
  ];
  test.each(table)("%s", async (_claim, hit) => {
    using server = serve(() => Response.json({ result: [[hit]] }));
    const { result } = await search(server.url);
    expect(result).toEqual({ ok: true, text: seen });
  });
});

test("one query is sent, to /retrieve where the address names no path", async () => {
  using server = serve(() => Response.json({ result: [[]] }));
  const { result } = await search(server.url, " who founded Orn ");
  expect(result.text).toBe("No results found.");
  await search(`${server.url}v2/find`);
  const body = { queries: ["who founded Orn"], topk: 2, return_scores: true };
  expect(server.asked[0]).toEqual({ path: "/retrieve", body });
  expect(server.asked[1]!.path).toBe("/v2/find");
});

test("more documents than asked for are not shown", async () => {
  using server = serve(() => Response.json({ result: [Array(5).fill({ contents: "x" })] }));
  expect((await search(server.url)).result.text).toBe('Doc 1(Title: "") x\nDoc 2(Title: "") x');
});

describe("a server that fails is data with its reason, and what the policy reads has no address", () => {
  const table: readonly [claim: string, response: () => Response, detail: RegExp][] = [
    ["a status", () => new Response("busy", { status: 503 }), /^HTTP 503: busy$/],
    ["no JSON", () => new Response("<html>"), /^the retriever's answer is not JSON: <html>$/],
    [
      "another shape",
      () => Response.json({ results: [] }),
      /^not a retriever's answer at result: /,
    ],
    ["no query's list", () => Response.json({ result: [] }), /^not a retriever's answer at result/],
    ["no contents", () => Response.json({ result: [[{ id: "1" }]] }), /at result\.0\.0: /],
  ];
  test.each(table)("%s", async (_claim, response, detail) => {
    using server = serve(response);
    const { result } = await search(server.url);
    if (result.ok) throw new Error(result.text);
    expect(result).toMatchObject({ reason: "error", text: "Error: search failed." });
    expect(result.detail).toMatch(detail);
  });

  test("nobody listens", async () => {
    const gone = serve(() => Response.json({}));
    gone[Symbol.dispose]();
    const { result, attempts } = await search(gone.url, "orn", { ...POLICY, retries: 2 });
    expect(result).toMatchObject({ ok: false, reason: "error", text: "Error: search failed." });
    expect(attempts).toBe(3);
  });

  test("a failure that passes is tried again", async () => {
    using server = serve((attempt) =>
      attempt < 3 ? new Response("", { status: 502 }) : Response.json({ result: [[{ contents }]] }),
    );
    const call = await search(server.url, "orn", { ...POLICY, retries: 2 });
    expect([call.result.ok, call.attempts]).toEqual([true, 3]);
  });

  test("a server that never answers is left at the deadline", async () => {
    using server = serve(() => new Promise(() => undefined));
    const { result } = await search(server.url, "orn", { ...POLICY, deadlineMs: 30 });
    expect(result).toMatchObject({ ok: false, reason: "timeout" });
  });

  test("an empty query reaches no server", async () => {
    using server = serve(() => Response.json({ result: [[]] }));
    const { result } = await search(server.url, "  ");
    expect(result).toMatchObject({
      reason: "invalid_call",
      text: "Error: the search query is empty.",
    });
    expect(server.asked).toEqual([]);
  });
});
