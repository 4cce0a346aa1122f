// The search tool over a file of `icrl index`, as a recipe names it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { parseRecipe } from "../../src/config/load.ts";
import { retrieverRoutes } from "../../src/serve/retriever.ts";
import { startServer } from "../../src/serve/server.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import { buildIndex } from "../../src/tools/index-build.ts";
import { openToolbox } from "../../src/train/open-tool.ts";
import { type DataFolder, dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

setDefaultTimeout(60_000);

let folder: DataFolder;
let index: string;
beforeAll(async () => {
  folder = dataFolder();
  index = join(folder.path, "towns.icrl-index");
  const rows = [{ id: "0", contents: '"Orn"\nOrn is a town\non the Sil.' }];
  const files = [folder.write("towns.jsonl", jsonl(rows))];
  await buildIndex({ files, out: index, skipBadRows: false, restart: false, onProgress() {} });
});
afterAll(() => folder[Symbol.dispose]());

const open = (tool: string) => openToolbox(parseRecipe(`name: x\ntool: ${tool}\n`, "r.yaml"));

const table: readonly [claim: string, style: string, text: string][] = [
  ["has its passages with titles", "", 'Doc 1(Title: "Orn") Orn is a town on the Sil.'],
  [
    "has its passages plain where the recipe says so",
    ", style: plain",
    "Orn is a town on the Sil.",
  ],
];
test.each(table)("a search of an index %s", async (_claim, style, text) => {
  await using box = await open(`{ search: { index: "${index}"${style} } }`);
  expect((await box.call("search", "town")).result).toMatchObject({ ok: true, text });
});

test("an index that is not there stops a run before it begins", async () => {
  const path = join(folder.path, "none");
  expect(await refusal(() => open(`{ search: { index: "${path}" } }`), folder)).toBe(
    "there is no such index (none) - icrl index CORPUS.jsonl --out FILE makes one",
  );
});

test("a retriever's token comes from the environment", async () => {
  using served = Bm25Index.open(index);
  const options = { host: "127.0.0.1", port: 0, maxBodyBytes: 1 << 20, token: "open sesame" };
  await using server = startServer(retrieverRoutes(served), options);
  const recipe = `{ search: { url: "${server.url}", retries: 0, token_env: ICRL_TEST_TOKEN } }`;
  const missing = "the environment has no ICRL_TEST_TOKEN, which tool search needs";
  expect(await refusal(() => open(recipe))).toStartWith(missing);
  process.env["ICRL_TEST_TOKEN"] = "open sesame";
  try {
    await using box = await open(recipe);
    expect((await box.call("search", "town")).result.ok).toBeTrue();
  } finally {
    delete process.env["ICRL_TEST_TOKEN"];
  }
});
