// Question: how many local searches a second are there, over 200,000 generated passages of 30 to 70
// words, in this process and through `icrl serve retriever`; and what does making the index take?
// The n-th word is as frequent as 1/n. A query has 2 or 3 words: `any` are drawn from a passage's
// text, frequent ones with it, and are the worst that a policy can ask; `rare` are those of fewer
// than one passage in fifty. `first` is a process's first round, which reads what later ones have.
//   npx bun bench/tools/searches.ts [--passages 200000] [--json]

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../../src/data/random.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import { RetrieverTool } from "../../src/tools/retriever.ts";

const NUM_WORDS = 200_000;
const QUERIES = 2000;
const CONCURRENCIES = [1, 16, 64];
const TOP_K = 3;
const RARE_SHARE = 1 / 50;
const MAIN = join(import.meta.dir, "../../src/main.ts");
const ICRL = [process.execPath, MAIN];

interface IndexRow {
  readonly passages: number;
  readonly corpusBytes: number;
  readonly indexBytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly openMs: number;
}
interface SearchRow {
  readonly where: string;
  readonly queries: string;
  readonly concurrency: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of processor, in this process; on a busy machine the steadier figure. */
  readonly cpuMs: number;
}

const SYLLABLES = "ba ber di do fa fen ga gor ha hir ja kal ke kor la lin ma mir na nor".split(" ");

/** The n-th word, from 0; frequent ones are short, as they are in languages. */
function word(n: number): string {
  const rest = Math.floor(n / SYLLABLES.length);
  return (rest === 0 ? "" : word(rest - 1)) + SYLLABLES[n % SYLLABLES.length]!;
}

/** Log-uniform: the n-th word comes with a probability of about 1/n. */
const drawRank = (random: Random): number => Math.floor(NUM_WORDS ** random.float()) - 1;

/** A passage is made from its number, so that queries can be drawn from any of them. */
function ranksOf(passage: number): readonly number[] {
  const random = new Random(passage, "passage");
  return Array.from({ length: 32 + random.integer(41) }, () => drawRank(random));
}

function contentsOf(passage: number): string {
  const [first, second, ...text] = ranksOf(passage).map(word);
  return `"${first} ${second}"\n${text.join(" ")}.`;
}

async function writeCorpus(path: string, passages: number): Promise<void> {
  const writer = Bun.file(path).writer();
  for (let i = 0; i < passages; i++) {
    writer.write(`${JSON.stringify({ id: String(i), contents: contentsOf(i) })}\n`);
    if (i % 10_000 === 0) await writer.flush();
  }
  await writer.end();
}

/** 2 or 3 words of a passage each. */
function makeQueries(passages: number, kind: "any" | "rare"): readonly string[] {
  const random = new Random(1, `${kind} queries`);
  // A passage of 50 words has the n-th with about 50 / (n ln N).
  const least = kind === "any" ? 0 : 50 / (RARE_SHARE * Math.log(NUM_WORDS));
  return Array.from({ length: QUERIES }, () => {
    const count = 2 + random.integer(2);
    for (;;) {
      const ranks = ranksOf(random.integer(passages)).filter((rank) => rank >= least);
      if (ranks.length >= count)
        return random
          .shuffle([...ranks])
          .slice(0, count)
          .map(word)
          .join(" ");
    }
  });
}

async function makeIndex(corpus: string, out: string, passages: number): Promise<IndexRow> {
  const start = performance.now();
  const child = Bun.spawn([...ICRL, "index", corpus, "--out", out, "--json"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  if ((await child.exited) !== 0) throw new Error("icrl index failed");
  const seconds = (performance.now() - start) / 1000;
  const { cpuTime, maxRSS } = child.resourceUsage()!;
  const opening = performance.now();
  Bm25Index.open(out)[Symbol.dispose]();
  return {
    passages,
    corpusBytes: statSync(corpus).size,
    indexBytes: statSync(out).size,
    seconds,
    cpuSeconds: Number(cpuTime.total) / 1e6,
    peakBytes: maxRSS,
    openMs: performance.now() - opening,
  };
}

type Search = (query: string) => unknown;

/** `concurrency` callers, each asking again as soon as it is answered. */
async function measure(
  search: Search,
  queries: readonly string[],
  row: Pick<SearchRow, "where" | "queries" | "concurrency">,
): Promise<SearchRow> {
  const latencies: number[] = [];
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < queries.length) {
      const query = queries[next++]!;
      const start = performance.now();
      const answer = search(query);
      if (answer instanceof Promise) await answer;
      latencies.push(performance.now() - start);
    }
  };
  const [start, cpuStart] = [performance.now(), cpuMs()];
  await Promise.all(Array.from({ length: row.concurrency }, caller));
  const cpu = (cpuMs() - cpuStart) / queries.length;
  const perSecond = (1000 * queries.length) / (performance.now() - start);
  const sorted = latencies.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.floor(q * (sorted.length - 1))]!;
  return { ...row, perSecond, p50Ms: quantile(0.5), p99Ms: quantile(0.99), cpuMs: cpu };
}

async function inProcess(path: string, passages: number): Promise<SearchRow[]> {
  const rows: SearchRow[] = [];
  for (const kind of ["any", "rare"] as const) {
    using index = Bm25Index.open(path);
    const queries = makeQueries(passages, kind);
    const search = (query: string): unknown => index.hits(query, TOP_K);
    const row = { where: "in process", queries: kind, concurrency: 1 };
    rows.push(await measure(search, queries, { ...row, queries: `${kind}, first` }));
    rows.push(await measure(search, queries, row));
  }
  return rows;
}

async function overHttp(path: string, passages: number): Promise<SearchRow[]> {
  const command = [...ICRL, "serve", "retriever", "--index", path, "--port", "0"];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "ignore" });
  try {
    const reader = child.stdout.getReader();
    const said = new TextDecoder().decode((await reader.read()).value);
    const url = /http:\S+/.exec(said)![0];
    const tool = new RetrieverTool({ url, topK: TOP_K });
    const { signal } = new AbortController();
    const search = (query: string): unknown => tool.retrieve(query, signal);
    const queries = makeQueries(passages, "any");
    await measure(search, queries, { where: "", queries: "", concurrency: 16 }); // warms it
    const rows: SearchRow[] = [];
    for (const concurrency of CONCURRENCIES) {
      rows.push(await measure(search, queries, { where: "HTTP", queries: "any", concurrency }));
    }
    return rows;
  } finally {
    child.kill();
    await child.exited;
  }
}

function printTable(index: IndexRow, rows: readonly SearchRow[]): void {
  const { passages, seconds, cpuSeconds, peakBytes, openMs } = index;
  const [corpusMb, indexMb] = [index.corpusBytes, index.indexBytes].map((bytes) => bytes / 1e6);
  console.log(
    `${passages} passages, ${corpusMb!.toFixed(0)} MB: indexed in ${seconds.toFixed(1)} s ` +
      `(${cpuSeconds.toFixed(1)} s of processor, ${(passages / seconds).toFixed(0)} a second), ` +
      `peak memory ${(peakBytes / 1e6).toFixed(0)} MB, index ${indexMb!.toFixed(0)} MB, ` +
      `opened in ${openMs.toFixed(0)} ms\n`,
  );
  console.log("where        queries      at a time   searches/s   p50 ms   p99 ms   processor ms");
  for (const { where, queries, concurrency, perSecond, p50Ms, p99Ms, cpuMs } of rows) {
    const cells = [String(concurrency).padStart(9), perSecond.toFixed(0).padStart(10)];
    const times = [p50Ms, p99Ms, cpuMs].map((ms) => ms.toFixed(2).padStart(6));
    console.log(
      `${where.padEnd(10)}   ${queries.padEnd(10)}   ${cells.join("   ")}   ${times.join("   ")}`,
    );
  }
}

async function main(): Promise<void> {
  const options = {
    passages: { type: "string", default: "200000" },
    json: { type: "boolean" },
  } as const;
  const { values } = parseArgs({ options });
  const passages = Number(values.passages);
  const folder = mkdtempSync(join(tmpdir(), "icrl-searches-"));
  try {
    const [corpus, out] = [join(folder, "corpus.jsonl"), join(folder, "corpus.icrl-index")];
    await writeCorpus(corpus, passages);
    const index = await makeIndex(corpus, out, passages);
    const searches = [...(await inProcess(out, passages)), ...(await overHttp(out, passages))];
    if (values.json === true) console.log(JSON.stringify({ index, searches }));
    else printTable(index, searches);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main();
