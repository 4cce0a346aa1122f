// Decoding with llama.cpp through npm's node-llama-cpp, which is loaded from a folder outside the
// project: some sequences, decoded together, each to a fixed number of tokens. The prompts are
// evaluated before the clock starts.
//   node llama.mjs FOLDER WORK     WORK: JSON with file, threads, batch, prompts (token ids), sampled

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, argument] = process.argv.slice(2);
const work = JSON.parse(argument);
const entry = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
const { getLlama } = await import(pathToFileURL(entry).href);

/** Not from getrusage, whose maximum begins with what the parent had. */
function peakBytes() {
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(kib) * 1024;
}

const tell = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);

const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: work.threads,
  logLevel: "error",
  logger: (level, message) => process.stderr.write(`${level}: ${message}\n`),
});
const model = await llama.loadModel({ modelPath: work.file, gpuLayers: 0, useMmap: true });
const context = await model.createContext({
  sequences: work.prompts.length,
  contextSize: work.prompts[0].length + work.sampled + 8,
  threads: { ideal: work.threads, min: work.threads },
  batching: { dispatchSchedule: "nextCycle" },
});
const sequences = work.prompts.map(() => context.getSequence());

/** Decodes one sequence greedily, from its prompt's last token on. */
async function decode(sequence, prompt) {
  const ids = [];
  const options = { temperature: 0, yieldEogToken: true };
  for await (const id of sequence.evaluate(prompt.slice(-1), options)) {
    ids.push(id);
    if (ids.length === work.sampled) break;
  }
  return ids;
}

async function run() {
  const prefill = async (sequence, index) => {
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(work.prompts[index].slice(0, -1));
  };
  await Promise.all(sequences.map(prefill));
  const start = performance.now();
  const ids = await Promise.all(sequences.map((each, i) => decode(each, work.prompts[i])));
  const seconds = (performance.now() - start) / 1000;
  return { seconds, ids, peak_bytes: peakBytes() };
}

await run();
tell({ ready: true, release: llama.llamaCppRelease.release });
for await (const _ of createInterface({ input: process.stdin })) tell(await run());
process.exit(0);
