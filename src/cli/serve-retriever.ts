// `icrl serve retriever`: an index for others, in the format of Search-R1's retrievers.

import type { Command } from "commander";
import {
  type AddressOptions,
  addAddressOptions,
  curlToken,
  serverOptions,
} from "./serve-options.ts";

interface Options extends AddressOptions {
  readonly index: string;
}

export function register(serve: Command): void {
  const command = serve
    .command("retriever")
    .description("search an index for others: POST /retrieve, as Search-R1's retrievers")
    .requiredOption("--index <file>", "a file of icrl index, or almanac for the embedded passages");
  addAddressOptions(command, 8000).action(run);
}

async function run(options: Options): Promise<void> {
  const { MAX_RETRIEVE_BYTES, retrieverRoutes } = await import("../serve/retriever.ts");
  const { serveUntilSignal, startServer } = await import("../serve/server.ts");
  using index = await openIndex(options.index);
  const settings = serverOptions(options, MAX_RETRIEVE_BYTES, process.env);
  const server = startServer(retrieverRoutes(index), settings);
  const body = `'{"queries": ["river"], "topk": 2, "return_scores": true}'`;
  const curl = `curl -s ${server.url}/retrieve${curlToken(settings)} -d ${body}`;
  const passages = index.size.toLocaleString("en");
  process.stdout.write(`${passages} passages at ${server.url}/retrieve\n  ${curl}\n`);
  await serveUntilSignal(server, (text) => void process.stderr.write(`${text}\n`));
}

async function openIndex(name: string) {
  const { isOwnWorld } = await import("../config/data-recipe.ts");
  const { Bm25Index } = await import("../tools/bm25.ts");
  if (!isOwnWorld(name)) return Bm25Index.open(name);
  const { ownPassages } = await import("../data/worlds.ts");
  return Bm25Index.build(ownPassages([name]));
}
