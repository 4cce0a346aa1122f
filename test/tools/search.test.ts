import { expect, test } from "bun:test";
import { Bm25Index } from "../../src/tools/bm25.ts";
import type { Passage } from "../../src/tools/passage.ts";
import { queryWords } from "../../src/tools/query-words.ts";
import { renderPassages, SearchTool } from "../../src/tools/search.ts";
import { callTool } from "../../src/tools/tool.ts";

const passages: readonly Passage[] = [
  { id: "0", title: "Norvel", text: "The writer of Norvel is Kelmar." },
  { id: "1", title: "Tasur", text: "The mayor of Tasur is Belin." },
  { id: "2", title: "Éverin", text: "The river of Éverin is the Löme." },
  { id: "3", title: "Norvel", text: "The river of Norvel is Osk." },
];
const ids = (query: string, topK = 4): string[] => {
  using index = Bm25Index.build(passages);
  return index.search(query, topK).map(({ id }) => id);
};

test("the passage with most of a query's rare words comes first", () => {
  expect(ids("river of Norvel", 1)).toEqual(["3"]);
  expect(ids("writer Norvel")[0]).toBe("0");
  expect(ids("mayor")).toEqual(["1"]);
});

test("any word may match, case and diacritics do not count", () => {
  expect(ids("EVERIN unheard-of", 1)).toEqual(["2"]);
  expect(ids("lome")).toEqual(["2"]);
});

test("passages of equal score come in the order of the corpus", () => {
  const equal = Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, text: "same words" }));
  using index = Bm25Index.build([
    ...equal,
    ...Array.from({ length: 30 }, (_, i) => ({ id: `x${i}`, text: "other" })),
  ]);
  expect(index.search("words", 5).map(({ id }) => id)).toEqual(["0", "1", "2", "3", "4"]);
});

test("words of more than half of the passages only count when there are no others", () => {
  expect(ids("the of is")).toHaveLength(4);
  expect(ids("the mayor of")).toEqual(["1"]);
});

test("top_k bounds the result", () => {
  expect(ids("Norvel", 1)).toHaveLength(1);
  expect(ids("Norvel", 3)).toHaveLength(2);
});

// Each of these is an error, an operator or a different meaning to FTS5 when it is not quoted.
const hostile: readonly (readonly [string, string])[] = [
  ["quotes", `"mayor" of ""Tasur`],
  ["an unbalanced quote", `mayor "`],
  ["NEAR", "NEAR(mayor Tasur, 2)"],
  ["operators", "mayor AND NOT OR Tasur"],
  ["a prefix star", "mayor* *"],
  ["a column filter", "contents: mayor - {id} : x"],
  ["brackets and carets", "^mayor + ((Tasur"],
  ["SQL", "mayor'; DROP TABLE passages; --"],
  ["a zero byte", "mayor\u0000Tasur"],
  ["a lone surrogate", "mayor \ud800"],
  ["emoji and other scripts", "mayor 🙂 市長 עיר"],
  ["a combining mark alone", "mayor \u0301"],
  ["10,000 characters", `mayor ${"x".repeat(10_000)}`],
  ["10,000 words", `mayor ${Array.from({ length: 10_000 }, (_, i) => `w${i}`).join(" ")}`],
];
test.each(hostile)("a query with %s finds what its words say", (_, query) => {
  expect(ids(query, 1)).toEqual(["1"]);
});

test("a query keeps its first 64 distinct words", () => {
  expect(queryWords("a B a, b. C")).toEqual(["a", "b", "c"]);
  expect(queryWords(Array.from({ length: 100 }, (_, i) => `w${i}`).join(" "))).toHaveLength(64);
});

test.each(["", "  \n ", '?!"*'])(
  "a query without words (%p) finds nothing or is refused",
  async (query) => {
    using index = Bm25Index.build(passages);
    const tool = new SearchTool(index, { topK: 1, style: "plain" });
    const { result } = await callTool(tool, query, { deadlineMs: 1, retries: 3, backoffMs: 1 });
    const expected =
      query.trim() === ""
        ? { ok: false, reason: "invalid_call", text: "Error: the search query is empty." }
        : { ok: true, text: "No results found." };
    expect(result).toMatchObject(expected);
  },
);

test("passages are printed as their text, or as numbered documents with titles", () => {
  const [first, second] = [passages[0]!, passages[1]!];
  expect(renderPassages([first, second], "plain")).toBe(`${first.text}\n${second.text}`);
  expect(renderPassages([first, second], "titled")).toBe(
    `Doc 1(Title: "Norvel") ${first.text}\nDoc 2(Title: "Tasur") ${second.text}`,
  );
});

test("a repeated query gives the same text", () => {
  using index = Bm25Index.build(passages);
  const tool = new SearchTool(index, { topK: 1, style: "plain" });
  expect(tool.call(" mayor ")).toBe("The mayor of Tasur is Belin.");
  expect(tool.call("mayor")).toBe("The mayor of Tasur is Belin.");
});

test("an index of nothing finds nothing", () => {
  using index = Bm25Index.build([]);
  expect(index.search("anything", 3)).toEqual([]);
});
