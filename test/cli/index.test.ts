// `icrl index` and `icrl serve retriever` as a person runs them.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Bm25Index } from "../../src/tools/bm25.ts";
import { icrl, icrlIn } from "../helpers/cli.ts";
import { randomCorpus } from "../helpers/corpus.ts";
import { type DataFolder, dataFolder, jsonl } from "../helpers/data-files.ts";

setDefaultTimeout(180_000);

const ROWS = [
  { id: "0", contents: '"Orn"\nOrn is a town on the Sil.' },
  { id: "1", contents: '"Sil"\nThe Sil is a river.' },
];

/** Begun, and not waited for. */
function start({ path }: DataFolder, args: readonly string[], env: Record<string, string> = {}) {
  const main = join(import.meta.dir, "../../src/main.ts");
  return Bun.spawn([process.execPath, main, ...args], {
    cwd: path,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** A line at a time, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as never)) {
    const lines = `${rest}${String(chunk)}`.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

describe("icrl index", () => {
  test("says on one line what it made, and the same again when nothing is left to do", async () => {
    using folder = dataFolder();
    folder.write("towns.jsonl", jsonl(ROWS));
    const made = await icrl(folder.path, "index", "towns.jsonl");
    expect(made).toMatchObject({ code: 0 });
    expect(made.stdout).toMatch(/^towns\.icrl-index {2}2 passages, 0\.\d MB, \d+ s\n$/);
    const again = await icrl(folder.path, "index", "towns.jsonl");
    expect(again.stdout).toMatch(/^towns\.icrl-index {2}2 passages, 0\.\d MB: was made before\n$/);
    using index = Bm25Index.open(join(folder.path, "towns.icrl-index"));
    expect(index.search("river", 3).map(({ id }) => id)).toEqual(["1"]);
  });

  test("shows the first bad rows and counts them all", async () => {
    using folder = dataFolder();
    folder.write("a.jsonl", jsonl([...ROWS, ...Array(7).fill({ id: 1 })]));
    const refused = await icrl(folder.path, "index", "a.jsonl");
    const line = 'neither "contents" nor "text" (a.jsonl:3)';
    expect(refused.code).toBe(1);
    expect(refused.stderr).toEndWith(`icrl: ${line} - --skip-bad-rows leaves such rows out\n`);
    const skipped = await icrl(folder.path, "index", "a.jsonl", "--skip-bad-rows");
    const shown = skipped.stderr.split("\n").filter((each) => !/passages/.test(each));
    expect(shown.slice(0, 2)).toEqual([`left out: ${line}`, `left out: ${line.replace("3", "4")}`]);
    expect(shown.slice(5)).toEqual(["more bad rows are only counted", ""]);
    expect(skipped.stdout).toContain("2 passages, 7 bad rows left out, ");
  });

  test("with --json gives a line a step and a last one", async () => {
    using folder = dataFolder();
    folder.write("a.jsonl", jsonl(ROWS));
    folder.write("b.jsonl", jsonl([{ id: 1 }]));
    const args = ["*.jsonl", "--out", "x.icrl-index", "--skip-bad-rows", "--json"];
    const { stdout } = await icrl(folder.path, "index", ...args);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly type: string; readonly phase?: string });
    expect([...new Set(lines.map(({ type, phase }) => phase ?? type))].toSorted()).toEqual([
      "bad_row",
      "copying",
      "index",
      "merging",
      "reading",
    ]);
    expect(lines.at(-1)).toMatchObject({ outcome: "made", passages: 2, bad_rows: 1 });
  });

  test("that is interrupted says so, and the same command goes on", async () => {
    using folder = dataFolder();
    folder.write("a.jsonl", jsonl(randomCorpus(3, 30_000)));
    const child = start(folder, ["index", "a.jsonl", "--json"]);
    let last = "";
    for await (const line of linesOf(child.stdout)) {
      if (last === "") child.kill("SIGINT");
      last = line;
    }
    expect(await child.exited).toBe(130);
    const stopped = JSON.parse(last) as { readonly passages: number };
    expect(stopped).toMatchObject({ type: "index", outcome: "stopped" });
    const { stdout, code } = await icrl(folder.path, "index", "a.jsonl", "--json");
    const told = stdout.trim().split("\n");
    const done = JSON.parse(told.at(-1)!) as object;
    expect([code, done]).toMatchObject([0, { outcome: "made", passages: 30_000 }]);
    expect(stopped.passages).toBeLessThan(30_000);
  });

  const wrong: readonly [args: readonly string[], code: number, says: string][] = [
    [["none.jsonl"], 1, "icrl: there is no such file (none.jsonl)\n"],
    [["*.none"], 1, "icrl: no file matches (*.none)\n"],
    [
      ["a.jsonl", "b.jsonl"],
      2,
      "icrl: an index of several files needs a name (--out) - --out corpus.icrl-index\n",
    ],
  ];
  test.each(wrong)("%p is one line", async (args, code, says) => {
    using folder = dataFolder();
    for (const name of ["a.jsonl", "b.jsonl"]) folder.write(name, jsonl(ROWS));
    expect(await icrl(folder.path, "index", ...args)).toEqual({ code, stdout: "", stderr: says });
  });
});

describe("icrl serve retriever", () => {
  test("says where it is, answers, logs and stops when asked to", async () => {
    using folder = dataFolder();
    const args = ["serve", "retriever", "--index", "almanac", "--port", "0", "--verbose"];
    const child = start(folder, args, { ICRL_TOKEN: "open sesame" });
    const lines = linesOf(child.stdout);
    const first = String((await lines.next()).value);
    const [, url] = /^2,460 passages at (http:\/\/127\.0\.0\.1:\d+\/retrieve)$/.exec(first)!;
    const token = ' -H "Authorization: Bearer $ICRL_TOKEN"';
    const body = `'{"queries": ["river"], "topk": 2, "return_scores": true}'`;
    expect((await lines.next()).value).toBe(`  curl -s ${url}${token} -d ${body}`);
    const request = { method: "POST", body: '{"queries": ["river"], "topk": 1}' };
    expect((await fetch(url!, request)).status).toBe(401);
    const headers = { authorization: "Bearer open sesame" };
    const answer = await fetch(url!, { ...request, headers });
    const found = { id: expect.any(String), contents: expect.stringMatching(/^The river of /) };
    expect(await answer.json()).toEqual({ result: [[found]] });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const said = (await new Response(child.stderr).text()).replaceAll(/[\d.]+ ms/g, "T ms");
    const stopping = "stopping when what runs is answered; Ctrl-C again ends at once";
    expect(said).toBe(`POST /retrieve 401 T ms\nPOST /retrieve 200 T ms\n${stopping}\n`);
  });

  const table: readonly [claim: string, args: readonly string[], code: number, says: string][] = [
    [
      "no index",
      ["--index", "none.icrl-index"],
      1,
      "there is no such index (none.icrl-index) - icrl index CORPUS.jsonl --out FILE makes one",
    ],
    [
      "another host without a token",
      ["--index", "almanac", "--host", "0.0.0.0"],
      1,
      "others can reach this address, so a token is needed (--host 0.0.0.0) - set ICRL_TOKEN " +
        "(or --token); clients send it as Authorization: Bearer TOKEN",
    ],
    [
      "a port that is none",
      ["--index", "almanac", "--port", "70000"],
      2,
      '"70000" is no value for --port - at most 65535',
    ],
  ];
  test.each(table)("%s is one line", async (_claim, args, code, says) => {
    using folder = dataFolder();
    const refused = await icrl(folder.path, "serve", "retriever", ...args);
    expect(refused).toEqual({ code, stdout: "", stderr: `icrl: ${says}\n` });
  });

  test("a port in use is one line", async () => {
    using folder = dataFolder();
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const port = String(other.port);
    const args = ["serve", "retriever", "--index", "almanac", "--port", port];
    const { code, stderr } = await icrlIn({ cwd: folder.path }, args);
    await other.stop(true);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `icrl: the port is in use (127.0.0.1:${port}) - choose another with --port, or 0 for ` +
        "a free one\n",
    );
  });
});
