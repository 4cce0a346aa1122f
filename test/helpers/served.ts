// A served policy over a real engine, and its endpoints on a free port.

import { KvCache } from "../../ffi/cache.ts";
import { readChatTemplate } from "../../src/model/chat-template.ts";
import type { FolderSource } from "../../src/model/byte-source.ts";
import { openFolder } from "../../src/model/model-folder.ts";
import { openTokenizer } from "../../src/model/tokenizer-folder.ts";
import { loadPolicy } from "../../src/model/weights.ts";
import { InProcessEngine } from "../../src/rollout/in-process.ts";
import { policyRoutes } from "../../src/serve/policy/routes.ts";
import type { ServedPolicy } from "../../src/serve/policy/served-policy.ts";
import { PolicyService } from "../../src/serve/policy/service.ts";
import { startServer } from "../../src/serve/server.ts";
import { openCpu } from "./engine.ts";

export interface Served extends AsyncDisposable {
  readonly url: string;
  readonly policy: ServedPolicy;
  readonly engine: InProcessEngine;
}
export interface ServedOptions {
  readonly context?: number;
  readonly cacheTokens?: number;
  readonly maxConcurrency?: number;
}

export function serveFolder(source: FolderSource, options: ServedOptions = {}): Served {
  const { context = 512, cacheTokens = 16384, maxConcurrency = 64 } = options;
  const stack = new DisposableStack();
  const device = stack.use(openCpu());
  const folder = stack.use(openFolder(source));
  const tokenizer = openTokenizer(source, folder.config);
  const policy = stack.use(loadPolicy(device, folder, "f32"));
  const cache = stack.use(KvCache.open(policy, { numPages: cacheTokens / 16, pageTokens: 16 }));
  const engine = new InProcessEngine(policy, cache);
  const template = readChatTemplate(source);
  const served = { name: "tiny", policy, engine, tokenizer, template, context, maxTurnTokens: 32 };
  const service = stack.use(new PolicyService(served, maxConcurrency));
  const address = { host: "127.0.0.1", port: 0, maxBodyBytes: 2 ** 20 };
  const server = startServer(policyRoutes(service), address);
  const close = async (): Promise<void> => {
    await server.stop();
    stack.dispose();
  };
  return { url: server.url, policy: served, engine, [Symbol.asyncDispose]: close };
}

export const post = (
  { url }: Served,
  path: string,
  body: object,
  init: RequestInit = {},
): Promise<Response> =>
  fetch(`${url}/v1/${path}`, { method: "POST", body: JSON.stringify(body), ...init });

/** The events of a stream, which must end in [DONE]. */
export async function eventsOf(response: Response): Promise<unknown[]> {
  const frames = (await response.text()).split("\n\n");
  if (frames.pop() !== "" || frames.pop() !== "data: [DONE]")
    throw new Error("no [DONE] at the end");
  return frames.map((frame) => {
    if (!frame.startsWith("data: ")) throw new Error(`no event: ${frame}`);
    return JSON.parse(frame.slice("data: ".length)) as unknown;
  });
}
