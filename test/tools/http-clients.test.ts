// What every client over HTTP makes of servers that fail. What each one sends and reads is tested
// apart.
import { describe, expect, test } from "bun:test";
import { specOf } from "../../src/tools/arguments.ts";
import { HttpTool } from "../../src/tools/http.ts";
import { retryAfterMs } from "../../src/tools/request.ts";
import { RetrieverTool } from "../../src/tools/retriever.ts";
import { SerperTool } from "../../src/tools/serper.ts";
import { callTool, type CallPolicy, type Tool } from "../../src/tools/tool.ts";
import { serveHttp } from "../helpers/http-server.ts";

const POLICY: CallPolicy = { deadlineMs: 10_000, retries: 0, backoffMs: 1 };

interface Client {
  readonly open: (url: string) => Tool;
  readonly good: unknown;
  readonly read: string;
}

const get = { method: "GET", headers: {}, query: {}, maxBytes: 1 << 20 };
const clients: Readonly<Record<string, Client>> = {
  retriever: {
    open: (url) => new RetrieverTool({ url, topK: 1 }, "lookup"),
    good: { result: [[{ contents: "Orn" }]] },
    read: 'Doc 1(Title: "") Orn',
  },
  serper: {
    open: (url) => new SerperTool("lookup", { url, key: "k", topK: 1 }),
    good: { organic: [{ title: "T", snippet: "Orn" }] },
    read: 'Doc 1(Title: "T") Orn',
  },
  http: {
    open: (url) =>
      new HttpTool("lookup", specOf(""), { ...get, url, result: "text" }, () => ""),
    good: { text: "Orn" },
    read: "Orn",
  },
};

describe.each(Object.entries(clients))("%s", (_name, { open, good, read }) => {
  const failures: readonly [claim: string, response: () => Response, detail: RegExp][] = [
    ["500", () => new Response("boom", { status: 500 }), /^HTTP 500: boom$/],
    ["401", () => new Response("key?", { status: 401 }), /^HTTP 401: key\?$/],
    ["429 without a time", () => new Response("", { status: 429 }), /^HTTP 429/],
    ["no JSON", () => new Response("<html>"), /is not JSON: <html>$/],
    ["other JSON", () => Response.json({ other: 1 }), /other/],
    ["half an answer", () => new Response('{"result": [['), /is not JSON/],
    ["too much", () => new Response("x".repeat(3 << 20)), /more than 1048576 bytes/],
  ];
  test.each(failures)("an answer of %s is a failure with its cause for people", async (...args) => {
    const [, response, detail] = args;
    using server = serveHttp(response);
    const { result } = await callTool(open(server.url), "orn", POLICY);
    if (result.ok) throw new Error(result.text);
    expect(result).toMatchObject({ reason: "error", text: "Error: lookup failed." });
    expect(result.detail).toMatch(detail);
  });

  test("a failure that passes is tried again", async () => {
    using server = serveHttp((request) =>
      request < 3 ? new Response("", { status: 502 }) : Response.json(good),
    );
    const call = await callTool(open(server.url), "orn", { ...POLICY, retries: 2 });
    expect([call.result.text, call.attempts]).toEqual([read, 3]);
  });

  test("a busy server is asked again when it wants to be", async () => {
    const headers = { "retry-after": "0" };
    using server = serveHttp((request) =>
      request === 1 ? new Response("", { status: 503, headers }) : Response.json(good),
    );
    const call = await callTool(open(server.url), "orn", { ...POLICY, retries: 1 });
    expect([call.result.text, call.attempts]).toEqual([read, 2]);
  });

  test("a server that wants to be left alone for an hour is", async () => {
    const headers = { "retry-after": "3600" };
    using server = serveHttp(() => new Response("", { status: 429, headers }));
    const call = await callTool(open(server.url), "orn", { ...POLICY, retries: 5 });
    expect([call.result.ok, call.attempts]).toEqual([false, 1]);
  });

  test("a server that never answers is left at the deadline", async () => {
    using server = serveHttp(() => new Promise(() => undefined));
    const { result } = await callTool(open(server.url), "orn", { ...POLICY, deadlineMs: 30 });
    expect(result).toMatchObject({ reason: "timeout", text: "Error: lookup took too long." });
  });

  test("nobody there is a failure", async () => {
    const gone = serveHttp(() => new Response());
    gone[Symbol.dispose]();
    const { result, attempts } = await callTool(open(gone.url), "orn", { ...POLICY, retries: 1 });
    expect([result.ok, attempts]).toEqual([false, 2]);
  });

  test("an empty call reaches no server", async () => {
    using server = serveHttp(() => Response.json(good));
    const { result } = await callTool(open(server.url), " \n", POLICY);
    expect(result).toMatchObject({ reason: "invalid_call" });
    expect(server.asked).toEqual([]);
  });
});

test("the time that a busy server asks for is seconds or a date", () => {
  const now = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT");
  const table: readonly [status: number, header: string | undefined, ms: number | undefined][] = [
    [429, "7", 7000],
    [503, "0", 0],
    [429, "Wed, 21 Oct 2026 07:28:30 GMT", 30_000],
    [429, "Wed, 21 Oct 2026 07:00:00 GMT", 0],
    [429, "soon", undefined],
    [429, undefined, undefined],
    [500, "7", undefined],
  ];
  for (const [status, header, ms] of table) {
    const headers: Record<string, string> = header === undefined ? {} : { "retry-after": header };
    expect(retryAfterMs(new Response("", { status, headers }), now)).toBe(ms);
  }
});
