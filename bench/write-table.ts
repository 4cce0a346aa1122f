// No measurement: puts what `bench throughput --json FILE` recorded into the table of README.md,
// between its two markers. Figures of several files go into one table; the last one of a key wins.
//   npx bun bench/write-table.ts FILE [FILE...]

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cells, type Figure, HEADINGS } from "./figure.ts";
import type { MachineFacts } from "./throughput.ts";

const START = "<!-- MEASURED:throughput -->";
const END = "<!-- /MEASURED:throughput -->";

export interface Recorded {
  readonly machine: MachineFacts;
  readonly figures: readonly Figure[];
}

export function readRecords(texts: readonly string[]): Recorded {
  const rows = texts.flatMap((text) => text.trim().split("\n")).map((line) => JSON.parse(line));
  const machine = rows.findLast((row) => row.type === "machine") as MachineFacts | undefined;
  if (machine === undefined) throw new Error("no line of type machine: not a throughput recording");
  const figures = new Map<string, Figure>();
  for (const row of rows) if (row.type === "figure") figures.set(row.key, row as Figure);
  return { machine, figures: [...figures.values()] };
}

export function markdown({ machine, figures }: Recorded): string {
  const { cpu, cores, isa, torch, commit, memoryBytes } = machine;
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const about = `${cpu}, ${cores} cores, ${isa}, ${memory}; libtorch ${torch}; commit ${commit}`;
  const row = (texts: readonly string[]): string =>
    `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  const table = [row(HEADINGS), row(HEADINGS.map(() => "---")), ...figures.map((f) => row(cells(f)))];
  return `${about}\n\n${table.join("\n")}\n`;
}

/** The document with another table. */
export function withTable(document: string, table: string): string {
  const [from, to] = [document.indexOf(START), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${START} and ${END} are not there in this order`);
  return `${document.slice(0, from)}${START}\n${table}${document.slice(to)}`;
}

if (import.meta.main) {
  const files = process.argv.slice(2);
  if (files.length === 0) throw new Error("usage: npx bun bench/write-table.ts FILE [FILE...]");
  const readme = join(import.meta.dir, "README.md");
  const recorded = readRecords(files.map((file) => readFileSync(file, "utf8")));
  writeFileSync(readme, withTable(readFileSync(readme, "utf8"), markdown(recorded)));
}
