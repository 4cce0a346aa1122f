// Our retriever as other programs meet it, and as our own client does.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { retrieverRoutes } from "../../src/serve/retriever.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/serve/server.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import type { Passage } from "../../src/tools/passage.ts";
import { RetrieverTool } from "../../src/tools/retriever.ts";
import { SearchTool } from "../../src/tools/search.ts";
import { callTool } from "../../src/tools/tool.ts";

setDefaultTimeout(60_000);

const PASSAGES: readonly Passage[] = [
  { id: "0", title: "Orn", text: "Orn is a town\non the Sil." },
  { id: "1", title: "Sil", text: "The Sil is a river." },
  { id: "2", title: 'The "Tel"', text: "Tel lies by the sea." },
  { id: "3", text: "A passage without a title." },
];
const OPTIONS: ServerOptions = { host: "127.0.0.1", port: 0, maxBodyBytes: 1 << 20 };

interface Served extends AsyncDisposable {
  readonly server: RunningServer;
  readonly index: Bm25Index;
  ask(body: unknown): Promise<{ readonly status: number; readonly json: unknown }>;
}

function serve(options: Partial<ServerOptions> = {}): Served {
  const index = Bm25Index.build(PASSAGES);
  const server = startServer(retrieverRoutes(index), { ...OPTIONS, ...options });
  return {
    server,
    index,
    async ask(body) {
      const url = `${server.url}/retrieve`;
      const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
      return { status: response.status, json: await response.json() };
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      index[Symbol.dispose]();
    },
  };
}

const orn = { id: "0", contents: '"Orn"\nOrn is a town\non the Sil.' };
const sil = { id: "1", contents: '"Sil"\nThe Sil is a river.' };
const tel = { id: "2", contents: '"The "Tel""\nTel lies by the sea.' };
const scored = (document: object) => ({ document, score: expect.any(Number) });

describe("an answer has a list a query, best first,", () => {
  const table: readonly [claim: string, body: object, result: unknown][] = [
    [
      "of documents with scores",
      { queries: ["town", "sea"], topk: 2, return_scores: true },
      [[scored(orn)], [scored(tel)]],
    ],
    ["of documents alone", { queries: ["sea"], topk: 1, return_scores: false }, [[tel]]],
    ["of documents alone where scores are not asked for", { queries: ["sea"] }, [[tel]]],
    ["of no more than topk", { queries: ["sil", "sil"], topk: 1 }, [[sil], [sil]]],
    ["of three where topk is not said", { queries: ["river town sea lies"] }, [[tel, sil, orn]]],
    ["that is empty where nothing is found", { queries: ["nowhere", "", "?!"] }, [[], [], []]],
    ["of which there are none without queries", { queries: [] }, []],
    ["whatever else is asked", { queries: ["sea"], topk: null, model: "e5" }, [[tel]]],
  ];
  test.each(table)("%s", async (_claim, body, result) => {
    await using served = serve();
    const { status, json } = await served.ask(body);
    expect({ status, json }).toEqual({ status: 200, json: { result } });
  });

  test("byte for byte as the format has it", async () => {
    await using served = serve();
    const url = `${served.server.url}/retrieve`;
    const body = '{"queries": ["sea"], "topk": 1, "return_scores": true}';
    const response = await fetch(url, { method: "POST", body });
    const [{ score } = { score: 0 }] = served.index.hits("sea", 1);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.text()).toBe(
      '{"result":[[{"document":{"id":"2","contents":"\\"The \\"Tel\\"\\"\\nTel lies by the sea."},' +
        `"score":${score}}]]}`,
    );
  });
});

describe("a request that is wrong is told what and where:", () => {
  const table: readonly [body: unknown, message: string, param: string | null][] = [
    [{}, "a list of texts is wanted", "queries"],
    [{ query: "sea" }, "a list of texts is wanted", "queries"],
    [{ queries: "sea" }, "a list of texts is wanted", "queries"],
    [{ queries: ["sea", 3] }, "a query is a text", "queries.1"],
    [{ queries: ["sea"], topk: 0 }, "a whole number, 1 to 1000, is wanted", "topk"],
    [{ queries: ["sea"], topk: 1e6 }, "a whole number, 1 to 1000, is wanted", "topk"],
    [{ queries: ["sea"], topk: "3" }, "a whole number, 1 to 1000, is wanted", "topk"],
    [{ queries: ["sea"], return_scores: 1 }, "true or false is wanted", "return_scores"],
    [["sea"], "Invalid input: expected object, received array", null],
  ];
  test.each(table)("%p", async (body, message, param) => {
    await using served = serve();
    const error = { message, type: "invalid_request_error", param };
    expect(await served.ask(body)).toEqual({ status: 400, json: { error } });
  });
});

test("health says how many passages there are", async () => {
  await using served = serve();
  const response = await fetch(`${served.server.url}/health`);
  expect(await response.json()).toEqual({ status: "ok", passages: 4 });
});

const POLICY = { deadlineMs: 20_000, retries: 0, backoffMs: 1 };

test("our own client shows what a search in the process shows", async () => {
  await using served = serve();
  const remote = new RetrieverTool({ url: served.server.url, topK: 2 });
  const local = new SearchTool(served.index, { topK: 2, style: "titled" });
  for (const query of ["town of the Sil", "sea", "title", "nowhere", "Måløy \ud800 \"'"]) {
    const { result } = await callTool(remote, query, POLICY);
    expect(result).toMatchObject({ ok: true, text: local.call(query) });
  }
});

test("our own client sends a token, without which it is refused", async () => {
  await using served = serve({ token: "open sesame" });
  const call = async (token?: string) => {
    const tool = new RetrieverTool({ url: served.server.url, topK: 1, token });
    return (await callTool(tool, "sea", POLICY)).result;
  };
  expect(await call("open sesame")).toMatchObject({ ok: true });
  expect(await call()).toMatchObject({ ok: false, detail: expect.stringMatching(/^HTTP 401/) });
});

test("a request of many queries lets others in between", async () => {
  const words = Array.from({ length: 300 }, (_, i) => `w${i}`);
  const passages = Array.from({ length: 3000 }, (_, i) => ({
    id: `${i}`,
    text: words.filter((_each, w) => (i * 31 + w * 17) % 3 === 0).join(" "),
  }));
  using index = Bm25Index.build(passages);
  await using server = startServer(retrieverRoutes(index), OPTIONS);
  const queries = Array.from({ length: 4096 }, (_, i) => `w${i % 300} w${(i * 7) % 300}`);
  let isDone = false;
  const long = fetch(`${server.url}/retrieve`, {
    method: "POST",
    body: JSON.stringify({ queries }),
  })
    .then((response) => response.json())
    .finally(() => (isDone = true));
  let between = 0;
  while (!isDone && between < 3) {
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    if (!isDone) between++;
  }
  expect(between).toBe(3);
  expect(((await long) as { result: unknown[] }).result).toHaveLength(4096);
});

test("an index in a file is served as one in memory", async () => {
  const { buildIndex } = await import("../../src/tools/index-build.ts");
  const { dataFolder, jsonl } = await import("../helpers/data-files.ts");
  using folder = dataFolder();
  const files = [folder.write("corpus.jsonl", jsonl([orn, sil, tel]))];
  const out = join(folder.path, "x.icrl-index");
  await buildIndex({ files, out, skipBadRows: false, restart: false, onProgress() {} });
  using index = Bm25Index.open(out);
  await using server = startServer(retrieverRoutes(index), OPTIONS);
  const body = JSON.stringify({ queries: ["town", "river"], topk: 1 });
  const response = await fetch(`${server.url}/retrieve`, { method: "POST", body });
  expect(await response.json()).toEqual({ result: [[orn], [sil]] });
});
