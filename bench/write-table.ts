// No measurement: puts what `bench throughput --json FILE` recorded into the table of README.md,
// between its two markers; with --gpu what bench/gpu.sh recorded, into the other table. Figures of
// several files go into one table; the last one of a key wins.
//   npx bun bench/write-table.ts [--gpu] FILE [FILE...]

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cells, type Figure, HEADINGS } from "./figure.ts";
import type { MachineFacts } from "./suite.ts";

export type Table = "throughput" | "gpu";

export interface Recorded {
  readonly machine: MachineFacts;
  readonly figures: readonly Figure[];
  /** Parts that did not run to their end. */
  readonly failed: readonly Failed[];
}
export interface Failed {
  readonly part: string;
  readonly why: string;
}

export function readRecords(texts: readonly string[]): Recorded {
  const rows = texts.flatMap((text) => text.trim().split("\n")).map((line) => JSON.parse(line));
  const machine = rows.findLast((row) => row.type === "machine") as MachineFacts | undefined;
  if (machine === undefined) throw new Error("no line of type machine: not a throughput recording");
  const figures = new Map<string, Figure>();
  for (const row of rows) if (row.type === "figure") figures.set(row.key, row as Figure);
  const failed = rows.filter((row) => row.type === "failed") as Failed[];
  return { machine, figures: [...figures.values()], failed };
}

export function markdown({ machine, figures, failed }: Recorded): string {
  const { cpu, cores, isa, torch, commit, memoryBytes, gpu } = machine;
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const device = gpu === undefined ? "" : `${gpu}; `;
  const about = `${device}${cpu}, ${cores} cores, ${isa}, ${memory}; libtorch ${torch}; commit ${commit}`;
  const row = (texts: readonly string[]): string =>
    `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  const table = [row(HEADINGS), row(HEADINGS.map(() => "---")), ...figures.map((f) => row(cells(f)))];
  const lost = failed.map(({ part, why }) => `\nThe part \`${part}\` is missing: ${why}.\n`);
  return `${about}\n\n${table.join("\n")}\n${lost.join("")}`;
}

/** The document with another table. */
export function withTable(document: string, table: string, name: Table = "throughput"): string {
  const [start, end] = [`<!-- MEASURED:${name} -->`, `<!-- /MEASURED:${name} -->`];
  const [from, to] = [document.indexOf(start), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${start} and ${end} are not there in this order`);
  return `${document.slice(0, from)}${start}\n${table}${document.slice(to)}`;
}

if (import.meta.main) {
  const { values, positionals: files } = parseArgs({
    args: process.argv.slice(2),
    options: { gpu: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  if (files.length === 0) throw new Error("usage: npx bun bench/write-table.ts [--gpu] FILE [FILE...]");
  const readme = join(import.meta.dir, "README.md");
  const recorded = readRecords(files.map((file) => readFileSync(file, "utf8")));
  const document = readFileSync(readme, "utf8");
  writeFileSync(readme, withTable(document, markdown(recorded), values.gpu ? "gpu" : "throughput"));
}
