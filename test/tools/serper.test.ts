import { describe, expect, test } from "bun:test";
import { parseResults, SerperTool } from "../../src/tools/serper.ts";
import { callTool } from "../../src/tools/tool.ts";
import { serveHttp } from "../helpers/http-server.ts";

const POLICY = { deadlineMs: 10_000, retries: 2, backoffMs: 1 };
const organic = [
  { title: "Orn", link: "https://a.example", snippet: "Orn is a town\non the Sil.", position: 1 },
  { title: "Sil", link: "https://b.example", snippet: "A river.", position: 2 },
  { title: "Bare", link: "https://c.example" },
];

async function search(results: unknown, options: { topK?: number; gl?: string } = {}) {
  using server = serveHttp(() => Response.json(results));
  const url = new URL("search", server.url).href;
  const tool = new SerperTool("web", { url, key: "secret", topK: 3, ...options });
  const { result } = await callTool(tool, " orn ", POLICY);
  return { text: result.text, asked: server.asked[0]!, identity: JSON.stringify(tool.identity) };
}

test("the request is the documented one, with the key in its header only", async () => {
  const { asked, identity } = await search({ organic }, { gl: "de" });
  expect([asked.method, asked.path]).toEqual(["POST", "/search"]);
  expect(asked.headers.get("x-api-key")).toBe("secret");
  expect(asked.headers.get("content-type")).toBe("application/json");
  expect(JSON.parse(asked.body)).toEqual({ q: "orn", num: 3, gl: "de" });
  expect(identity).not.toContain("secret");
});

describe("what the policy reads are documents", () => {
  const answerBox = { title: "Orn - facts", snippet: "Founded in 1204", answer: "1204" };
  const knowledgeGraph = { title: "Orn", type: "Town", description: "On the Sil.", attributes: {} };
  const table: readonly [claim: string, results: object, topK: number, text: string][] = [
    [
      "one for each result that says something",
      { organic },
      3,
      'Doc 1(Title: "Orn") Orn is a town on the Sil.\nDoc 2(Title: "Sil") A river.',
    ],
    [
      "the answer box and the knowledge graph first",
      { searchParameters: {}, answerBox, knowledgeGraph, organic },
      3,
      'Doc 1(Title: "Orn - facts") 1204. Founded in 1204\n' +
        'Doc 2(Title: "Orn") Town. On the Sil.\n' +
        'Doc 3(Title: "Orn") Orn is a town on the Sil.',
    ],
    ["no more than asked for", { organic }, 1, 'Doc 1(Title: "Orn") Orn is a town on the Sil.'],
    ["none where nothing was found", { organic: [] }, 3, "No results found."],
  ];
  test.each(table)("%s", async (_claim, results, topK, text) => {
    expect((await search(results, { topK })).text).toBe(text);
  });
});

test("a query that is refused is the call's fault, and is not repeated", async () => {
  using server = serveHttp(() => Response.json({ message: "Bad query" }, { status: 400 }));
  const tool = new SerperTool("web", { url: server.url, key: "k", topK: 3 });
  const { result, attempts } = await callTool(tool, "orn", POLICY);
  const text = "Error: the search query was refused.";
  expect([result.text, attempts]).toEqual([text, 1]);
});

test("what is no answer of Serper's is refused", () => {
  for (const json of ["[]", "{}", '{"organic": 3}', '{"message": "Unauthorized."}'])
    expect(() => parseResults(json)).toThrow("not an answer of Serper's");
});
