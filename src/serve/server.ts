// A server of this program: where it listens, who may ask, and how it stops. On loopback anyone may
// ask, unless there is a token; on any other address a token is needed. `GET /health` is open to
// all. What is refused or goes wrong is JSON in the form that OpenAI's clients read:
//   {"error": {"message": "...", "type": "invalid_request_error", "param": "queries.0"}}
// Not here: what is served (retriever.ts, policy.ts), and TLS: a proxy in front has that.

import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import { UserError } from "../config/errors.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Asked of everyone, on every address; absent only on loopback. */
  readonly token?: string | undefined;
  readonly maxBodyBytes: number;
  /** Takes a line a request. */
  readonly log?: ((line: string) => void) | undefined;
}

export interface RunningServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  /** Takes no new requests, and returns when those that run have been answered. */
  stop(): Promise<void>;
}

/** What a client did wrong. `param` is the place in its body. */
export class RequestError extends Error {
  override readonly name = "RequestError";

  constructor(
    message: string,
    readonly param: string | undefined = undefined,
    readonly status: 400 | 404 | 413 | 422 | 429 = 400,
  ) {
    super(message);
  }
}

/** Serves `routes`. Throws UserError where the address can't be had. */
export function startServer(routes: Hono, options: ServerOptions): RunningServer {
  const { host, port } = options;
  checkToken(options);
  const app = guarded(routes, options);
  try {
    // Answers may stream for as long as they want. bodyLimit answers in JSON; Bun's own limit, far
    // above it, only cuts the connection of what is absurd.
    const maxRequestBodySize = options.maxBodyBytes + 2 ** 27;
    const { fetch } = app;
    const server = Bun.serve({ hostname: host, port, idleTimeout: 0, maxRequestBodySize, fetch });
    const stop = (): Promise<void> => server.stop();
    return { url: server.url.href.replace(/\/$/, ""), stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    throw listenError(error, `${host}:${port}`);
  }
}

/** Until SIGINT or SIGTERM; then the requests that run are finished. A second one ends at once. */
export async function serveUntilSignal(
  server: RunningServer,
  tell: (text: string) => void,
): Promise<void> {
  const asked = Promise.withResolvers<void>();
  let isStopping = false;
  const onSignal = (): void => {
    if (isStopping) process.exit(130);
    isStopping = true;
    tell("stopping when what runs is answered; Ctrl-C again ends at once");
    asked.resolve();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  await asked.promise;
  await server.stop();
  process.off("SIGINT", onSignal);
  process.off("SIGTERM", onSignal);
}

/** The JSON body as `schema` wants it. Throws RequestError with the place that is wrong. */
export async function readBody<S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S>> {
  const text = await c.req.text();
  const result = schema.safeParse(parseJson(text));
  if (result.success) return result.data;
  const { message, path } = result.error.issues[0]!;
  throw new RequestError(message, path.length === 0 ? undefined : path.join("."));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() === "") throw new RequestError("the body is empty; a JSON object is wanted");
    const why = (error as Error).message.replace(/^JSON Parse error: /, "");
    throw new RequestError(`the body is not JSON: ${why}`);
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

function checkToken({ host, token }: ServerOptions): void {
  if (token !== undefined && token.trim() === "") {
    const hint = "give one, or leave it out on loopback";
    throw new UserError("the token is empty", { where: "--token or ICRL_TOKEN", hint });
  }
  if (token !== undefined || isLoopback(host)) return;
  throw new UserError("others can reach this address, so a token is needed", {
    where: `--host ${host}`,
    hint: "set ICRL_TOKEN (or --token); clients send it as Authorization: Bearer TOKEN",
  });
}

function listenError(error: unknown, where: string): unknown {
  const { code, message } = error as { readonly code?: string; readonly message: string };
  if (code === "EADDRINUSE") {
    const hint = "choose another with --port, or 0 for a free one";
    return new UserError("the port is in use", { where, hint });
  }
  if (code === "EADDRNOTAVAIL") {
    return new UserError("this machine has no such address", { where, hint: "see --host" });
  }
  if (code === "EACCES") {
    return new UserError("this port is not allowed to you", { where, hint: "one above 1023 is" });
  }
  return code === undefined ? error : new UserError(message, { where });
}

function guarded(routes: Hono, { token, maxBodyBytes, log }: ServerOptions): Hono {
  const app = new Hono();
  if (log !== undefined) app.use(accessLog(log));
  if (token !== undefined) app.use(bearer(token));
  const tooLarge = new RequestError(
    `the body is larger than ${maxBodyBytes} bytes`,
    undefined,
    413,
  );
  app.use(bodyLimit({ maxSize: maxBodyBytes, onError: (c) => refusal(c, tooLarge) }));
  app.route("/", routes);
  app.onError((error, c) => {
    if (error instanceof RequestError) return refusal(c, error);
    if (error instanceof HTTPException) return error.getResponse();
    process.stderr.write(`icrl: ${c.req.method} ${c.req.path}: ${Bun.inspect(error)}\n`);
    return c.json({ error: { message: "internal error", type: "server_error" } }, 500);
  });
  const known = routes.routes.filter(({ method }) => method !== "ALL");
  const list = [...new Set(known.map(({ method, path }) => `${method} ${path}`))].join(", ");
  app.notFound((c) => {
    const what = `there is no ${c.req.method} ${c.req.path} here, but ${list}`;
    return refusal(c, new RequestError(what, undefined, 404));
  });
  return app;
}

function refusal(c: Context, { message, param, status }: RequestError): Response {
  return c.json(
    { error: { message, type: "invalid_request_error", param: param ?? null } },
    status,
  );
}

/** Compares digests, so that the time taken tells nothing. */
function bearer(token: string): MiddlewareHandler {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const wanted = digest(token);
  return async (c, next) => {
    const given = /^Bearer +(.+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
    if (c.req.path === "/health" || timingSafeEqual(digest(given.trim()), wanted)) return next();
    const message = "a token is wanted: send Authorization: Bearer TOKEN";
    const error = { message, type: "authentication_error", param: null };
    return c.json({ error }, 401, { "www-authenticate": "Bearer" });
  };
}

/** `POST /retrieve 200 3.2 ms`; for an answer that streams, until it begins. */
function accessLog(log: (line: string) => void): MiddlewareHandler {
  return async (c, next) => {
    const start = performance.now();
    await next();
    const ms = (performance.now() - start).toFixed(1);
    log(`${c.req.method} ${c.req.path} ${c.res.status} ${ms} ms`);
  };
}
