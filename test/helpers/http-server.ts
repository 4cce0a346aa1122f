// A server on a free port of this machine that answers as a test says, and notes what it was asked.

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Headers;
  readonly body: string;
}

export interface HttpServer extends Disposable {
  readonly url: string;
  readonly asked: readonly Asked[];
}

/** `answer` gets the number of the request, from 1. */
export function serveHttp(answer: (request: number) => Response | Promise<Response>): HttpServer {
  const asked: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname: path, searchParams } = new URL(request.url);
      const query = Object.fromEntries(searchParams);
      const { method, headers } = request;
      asked.push({ method, path, query, headers, body: await request.text() });
      return answer(asked.length);
    },
  });
  return { url: server.url.href, asked, [Symbol.dispose]: () => void server.stop(true) };
}
