// An MCP server over streamable HTTP, for tests: a POST a message, answered as JSON or as an event
// stream. It gives out a session, and forgets it when a test wants.

import { answerTo } from "./mcp-protocol.ts";

export interface McpHttpServer extends Disposable {
  readonly url: string;
  /** Methods asked for, in order. */
  readonly methods: readonly string[];
  forgetSessions(): void;
}

/** `instead`: another response to a tools/call, by its number from 1. */
export function serveMcp(
  instead: (call: number) => Response | undefined = () => undefined,
  style: "json" | "stream" = "json",
): McpHttpServer {
  const methods: string[] = [];
  let [sessions, calls, valid] = [0, 0, ""];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (request.method !== "POST") return new Response("", { status: 405 });
      const message = (await request.json()) as { method: string };
      methods.push(message.method);
      const isStart = message.method === "initialize";
      if (isStart) valid = `session-${++sessions}`;
      const session = isStart ? valid : request.headers.get("mcp-session-id");
      if (message.method.startsWith("tools/") && session !== valid) {
        return new Response("no such session", { status: 404 });
      }
      if (message.method === "tools/call") {
        const other = instead(++calls);
        if (other !== undefined) return other;
      }
      return responseTo(message, valid, style);
    },
  });
  const url = new URL("mcp", server.url).href;
  const forgetSessions = () => void (valid = "none");
  return { url, methods, forgetSessions, [Symbol.dispose]: () => void server.stop(true) };
}

function responseTo(
  message: Parameters<typeof answerTo>[0],
  session: string,
  style: "json" | "stream",
): Response {
  const answer = answerTo(message);
  if (answer === undefined) return new Response(null, { status: 202 });
  const headers = { "mcp-session-id": session };
  if (style === "json") return Response.json(answer, { headers });
  const events = `event: message\ndata: ${JSON.stringify(answer)}\n\n`;
  return new Response(events, { headers: { ...headers, "content-type": "text/event-stream" } });
}
