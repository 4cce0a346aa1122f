import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { z } from "zod";
import { UserError } from "../../src/config/errors.ts";
import {
  isLoopback,
  readBody,
  type RunningServer,
  type ServerOptions,
  startServer,
} from "../../src/serve/server.ts";

const OPTIONS: ServerOptions = { host: "127.0.0.1", port: 0, maxBodyBytes: 1000 };

/** What a request runs into on its way: `gate` holds POST /wait, POST /broken throws. */
function routes(gate = Promise.resolve(), onWait = (): void => undefined): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.post("/add", async (c) => {
    const { numbers } = await readBody(c, z.strictObject({ numbers: z.array(z.number()) }));
    return c.json(numbers.reduce((a, b) => a + b, 0));
  });
  app.post("/wait", async (c) => {
    onWait();
    await gate;
    return c.text("done");
  });
  app.post("/broken", () => {
    throw new Error("our own fault");
  });
  return app;
}

const post = (server: RunningServer, path: string, body: string | ReadableStream, headers = {}) =>
  fetch(server.url + path, { method: "POST", body, headers });

function refusalOf(options: Partial<ServerOptions>): string {
  try {
    void startServer(routes(), { ...OPTIONS, ...options }).stop();
  } catch (error) {
    if (error instanceof UserError) return error.describe();
    throw error;
  }
  return "";
}

describe("a request that is wrong is told what and where:", () => {
  const chunk = new Uint8Array(600).fill(32);
  const unsized = (): ReadableStream =>
    new ReadableStream({
      start(controller) {
        for (let i = 0; i < 4; i++) controller.enqueue(chunk);
        controller.close();
      },
    });
  const table: readonly [string, () => string | ReadableStream, number, string, string | null][] = [
    ["no body", () => "", 400, "the body is empty; a JSON object is wanted", null],
    ["no JSON", () => "{", 400, "the body is not JSON: Expected '}'", null],
    ["no object", () => "3", 400, "Invalid input: expected object, received number", null],
    [
      "a wrong item",
      () => '{"numbers": [1, "2"]}',
      400,
      "Invalid input: expected number, received string",
      "numbers.1",
    ],
    ["an unknown key", () => '{"numbers": [], "b": 1}', 400, 'Unrecognized key: "b"', null],
    ["a large body", () => " ".repeat(1001), 413, "the body is larger than 1000 bytes", null],
    ["a large body of no stated size", unsized, 413, "the body is larger than 1000 bytes", null],
  ];
  test.each(table)("%s", async (_claim, body, status, message, param) => {
    await using server = startServer(routes(), OPTIONS);
    const response = await post(server, "/add", body());
    const error = { message, type: "invalid_request_error", param };
    expect([response.status, await response.json()]).toEqual([status, { error }]);
  });

  test("no such path", async () => {
    await using server = startServer(routes(), OPTIONS);
    const response = await fetch(`${server.url}/ad`);
    const known = "GET /health, POST /add, POST /wait, POST /broken";
    const message = `there is no GET /ad here, but ${known}`;
    const error = { message, type: "invalid_request_error", param: null };
    expect([response.status, await response.json()]).toEqual([404, { error }]);
  });

  test("a fault of the server is a 500 without its inside", async () => {
    await using server = startServer(routes(), OPTIONS);
    const write = process.stderr.write;
    const written: string[] = [];
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    const response = await post(server, "/broken", "{}").finally(() => {
      process.stderr.write = write;
    });
    const error = { message: "internal error", type: "server_error" };
    expect([response.status, await response.json()]).toEqual([500, { error }]);
    expect(written.join("")).toContain("our own fault");
  });
});

describe("with a token", () => {
  const table: readonly [claim: string, header: string | undefined, status: number][] = [
    ["the token is let in", "Bearer open sesame", 200],
    ["any case of the scheme is", "bearer open sesame", 200],
    ["no header is not", undefined, 401],
    ["another token is not", "Bearer open", 401],
    ["a longer one is not", "Bearer open sesame!", 401],
    ["another scheme is not", "Basic open sesame", 401],
    ["an empty one is not", "Bearer ", 401],
  ];
  test.each(table)("%s", async (_claim, header, status) => {
    await using server = startServer(routes(), { ...OPTIONS, token: "open sesame" });
    const headers = header === undefined ? {} : { authorization: header };
    const response = await post(server, "/add", '{"numbers": [1, 2]}', headers);
    const wanted = "a token is wanted: send Authorization: Bearer TOKEN";
    const error = { message: wanted, type: "authentication_error", param: null };
    const challenge = status === 401 ? "Bearer" : null;
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([
      status,
      challenge,
    ]);
    expect(await response.json()).toEqual(status === 200 ? 3 : { error });
  });

  test("health needs none", async () => {
    await using server = startServer(routes(), { ...OPTIONS, token: "open sesame" });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

describe("an address that can't be had is one line:", () => {
  test("a port in use", async () => {
    await using server = startServer(routes(), OPTIONS);
    const port = Number(new URL(server.url).port);
    expect(refusalOf({ port })).toBe(
      `the port is in use (127.0.0.1:${port}) - choose another with --port, or 0 for a free one`,
    );
  });

  const table: readonly [claim: string, options: Partial<ServerOptions>, line: string][] = [
    [
      "an address of another machine",
      { host: "192.0.2.1", token: "t" },
      "this machine has no such address (192.0.2.1:0) - see --host",
    ],
    [
      "all addresses without a token",
      { host: "0.0.0.0" },
      "others can reach this address, so a token is needed (--host 0.0.0.0) - set ICRL_TOKEN " +
        "(or --token); clients send it as Authorization: Bearer TOKEN",
    ],
    [
      "an empty token",
      { token: " " },
      "the token is empty (--token or ICRL_TOKEN) - give one, or leave it out on loopback",
    ],
  ];
  test.each(table)("%s", (_claim, options, line) => {
    expect(refusalOf(options)).toBe(line);
  });
});

test("loopback is this machine alone", () => {
  const own = ["127.0.0.1", "127.1.2.3", "localhost", "::1"];
  const others = ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "host"];
  expect([...own, ...others].filter(isLoopback)).toEqual(own);
});

test("a server that stops answers what runs and takes nothing new", async () => {
  const gate = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const server = startServer(routes(gate.promise, arrived.resolve), OPTIONS);
  const running = post(server, "/wait", "");
  await arrived.promise;
  const stopped = server.stop();
  const late = fetch(`${server.url}/health`).then(
    () => "answered",
    () => "refused",
  );
  expect(await late).toBe("refused");
  gate.resolve();
  expect(await (await running).text()).toBe("done");
  await stopped;
});

test("a line a request is logged, with what came of it", async () => {
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line.replace(/[\d.]+ ms$/, "T ms"));
  await using server = startServer(routes(), { ...OPTIONS, token: "t", log });
  await fetch(`${server.url}/health`);
  await post(server, "/add", "{}");
  expect(lines).toEqual(["GET /health 200 T ms", "POST /add 401 T ms"]);
});
