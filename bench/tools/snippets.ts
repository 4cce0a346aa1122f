// Python snippets a second through the sandbox, by how many calls are open at a time, with p50 and
// p99 of a call; and how long it takes until the first answer. Every figure is of calls that all
// gave the right answer. A worker is a zygote; there are as many as processors.
//   npx bun bench/tools/snippets.ts [--json]

import { availableParallelism } from "node:os";
import { PythonSandbox } from "../../src/tools/python/sandbox.ts";
import { median } from "../timing.ts";

const CONCURRENCIES = [1, 2, 8, 64];
const CALLS = 256;
const ROUNDS = 3;
const WORKERS = availableParallelism();

const SNIPPETS = {
  arithmetic: { code: "print(37 * 47)", answer: "1739\n", needs: undefined },
  numpy: {
    code: "import numpy as np\nprint(int(np.arange(10).sum()))",
    answer: "45\n",
    needs: "numpy",
  },
  sympy: {
    code: "from sympy import *\nx = symbols('x')\nprint(diff(x**3))",
    answer: "3*x**2\n",
    needs: "sympy",
  },
} as const;

interface Row {
  readonly snippet: string;
  readonly concurrency: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

/** `concurrency` callers, each asking again as soon as it is answered. */
async function callAll(
  sandbox: PythonSandbox,
  { code, answer }: { readonly code: string; readonly answer: string },
  concurrency: number,
): Promise<{ readonly perSecond: number; readonly sortedMs: readonly number[] }> {
  const latencies: number[] = [];
  let left = CALLS;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      const start = performance.now();
      const { parts } = await sandbox.run(code);
      latencies.push(performance.now() - start);
      if (parts[0] !== answer) throw new Error(`${code} gave ${parts.join()}`);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const perSecond = (1000 * CALLS) / (performance.now() - start);
  return { perSecond, sortedMs: latencies.toSorted((a, b) => a - b) };
}

async function measure(sandbox: PythonSandbox, snippet: keyof typeof SNIPPETS): Promise<Row[]> {
  const rows: Row[] = [];
  await callAll(sandbox, SNIPPETS[snippet], 2 * WORKERS); // starts the workers, imports
  for (const concurrency of CONCURRENCIES) {
    const rounds = [];
    for (let i = 0; i < ROUNDS; i++)
      rounds.push(await callAll(sandbox, SNIPPETS[snippet], concurrency));
    rows.push({
      snippet,
      concurrency,
      perSecond: median(rounds.map((it) => it.perSecond)),
      p50Ms: median(rounds.map((it) => quantile(it.sortedMs, 0.5))),
      p99Ms: median(rounds.map((it) => quantile(it.sortedMs, 0.99))),
    });
  }
  return rows;
}

/** Until the first answer of a new sandbox: asking the host's Python what it is, and one worker. */
async function startMs(): Promise<{ readonly openMs: number; readonly firstMs: number }> {
  const start = performance.now();
  await using sandbox = await PythonSandbox.open({ workers: 1 });
  const openMs = performance.now() - start;
  await sandbox.run("1");
  return { openMs, firstMs: performance.now() - start };
}

await startMs(); // the first one pays for reading files
const starts = [];
for (let i = 0; i < ROUNDS; i++) starts.push(await startMs());
await using sandbox = await PythonSandbox.open({ workers: WORKERS });
const rows: Row[] = [];
for (const [name, { needs }] of Object.entries(SNIPPETS)) {
  if (needs === undefined || needs in sandbox.host.packages)
    rows.push(...(await measure(sandbox, name as keyof typeof SNIPPETS)));
}
const summary = {
  workers: WORKERS,
  calls: CALLS,
  open_ms: median(starts.map((it) => it.openMs)),
  first_answer_ms: median(starts.map((it) => it.firstMs)),
  rows,
};

const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : cell.padStart(10))).join("");
const table = [
  `${WORKERS} workers; open ${summary.open_ms.toFixed(0)} ms, first answer ${summary.first_answer_ms.toFixed(0)} ms`,
  line(["snippet", "at a time", "a second", "p50 ms", "p99 ms"]),
  ...rows.map((row) =>
    line([
      row.snippet,
      String(row.concurrency),
      row.perSecond.toFixed(0),
      row.p50Ms.toFixed(1),
      row.p99Ms.toFixed(1),
    ]),
  ),
].join("\n");
process.stdout.write(`${process.argv.includes("--json") ? JSON.stringify(summary) : table}\n`);
