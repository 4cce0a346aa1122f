// `icrl serve`: what this program offers to others over HTTP, a word each. Not here: what each
// serves (serve-retriever.ts, serve-policy.ts), and the options they share (serve-options.ts).

import type { Command } from "commander";
import { register as registerPolicy } from "./serve-policy.ts";
import { register as registerRetriever } from "./serve-retriever.ts";

/** In the order in which `icrl serve --help` lists them. */
const SERVERS: readonly ((serve: Command) => void)[] = [registerPolicy, registerRetriever];

export function register(program: Command): void {
  const serve = program.command("serve").description("answer others over HTTP");
  for (const registerServer of SERVERS) registerServer(serve);
}
