// A server for tests, on a port of this machine, that speaks SandboxFusion's format. What it answers
// is prepared; a request in another format is refused.

import { z } from "zod";

const requestSchema = z.strictObject({
  code: z.string().min(1),
  language: z.literal("python"),
  stdin: z.string(),
  compile_timeout: z.number().positive(),
  run_timeout: z.number().positive(),
  memory_limit_MB: z.int().positive(),
  files: z.record(z.string(), z.string()),
});
export type FusionRequest = z.output<typeof requestSchema>;

export interface FusionServer extends Disposable {
  readonly url: string;
  readonly requests: readonly FusionRequest[];
}

/** `answer`: the body of every answer, as JSON or as it is. */
export function serveSandboxFusion(answer: unknown, status = 200): FusionServer {
  const requests: FusionRequest[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const asked = requestSchema.safeParse(await request.json());
      const isRun = new URL(request.url).pathname === "/run_code";
      if (!isRun || !asked.success) return new Response("", { status: 422 });
      requests.push(asked.data);
      const body = typeof answer === "string" ? answer : JSON.stringify(answer);
      return new Response(body, { status });
    },
  });
  return { url: server.url.href, requests, [Symbol.dispose]: () => void server.stop(true) };
}
