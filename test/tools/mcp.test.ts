import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { McpTool } from "../../src/tools/mcp.ts";
import { type McpEndpoint, McpServer } from "../../src/tools/mcp-server.ts";
import { callTool, type CallPolicy } from "../../src/tools/tool.ts";
import { serveMcp } from "../helpers/mcp-http.ts";

setDefaultTimeout(60_000); // processes are started on a busy machine

const POLICY: CallPolicy = { deadlineMs: 20_000, retries: 0, backoffMs: 1 };
const STDIO: McpEndpoint = {
  kind: "stdio",
  command: [process.execPath, join(import.meta.dir, "../helpers/mcp-stdio.ts")],
  cwd: import.meta.dir,
  env: { PATH: process.env["PATH"] ?? "" },
};

class Peer implements AsyncDisposable {
  private constructor(
    readonly server: McpServer,
    readonly tools: readonly McpTool[],
  ) {}

  static async connect(endpoint: McpEndpoint): Promise<Peer> {
    const server = new McpServer(endpoint, 20_000);
    const infos = await server.listTools();
    return new Peer(
      server,
      infos.map((info) => new McpTool(info, server, "tests")),
    );
  }

  async call(name: string, input: string, policy: Partial<CallPolicy> = {}) {
    const tool = this.tools.find((each) => each.name === name)!;
    return callTool(tool, input, { ...POLICY, ...policy });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

const transports = [
  ["stdio", () => ({ endpoint: STDIO, [Symbol.dispose]: () => undefined })],
  ["HTTP with JSON", () => served("json")],
  ["HTTP with an event stream", () => served("stream")],
] as const;

function served(style: "json" | "stream") {
  const server = serveMcp(undefined, style);
  const endpoint: McpEndpoint = { kind: "http", url: server.url, headers: {} };
  return { endpoint, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

describe.each(transports)("over %s", (_name, open) => {
  let opened: ReturnType<typeof open>;
  let peer: Peer;
  beforeAll(async () => {
    opened = open();
    peer = await Peer.connect(opened.endpoint);
  });
  afterAll(async () => {
    await peer[Symbol.asyncDispose]();
    opened[Symbol.dispose]();
  });

  test("names, descriptions and parameters are the server's", () => {
    expect(peer.tools.map(({ name }) => name)).toEqual(["echo", "add"]);
    expect(peer.tools[0]!.spec).toMatchObject({
      description: "Says what it is told.",
      textParameter: "text",
    });
    expect(peer.tools[1]!.spec.textParameter).toBeUndefined();
    expect(peer.tools[1]!.spec.parameters).toMatchObject({ required: ["a", "b"] });
  });

  test("the text of an answer is read, other content is named", async () => {
    expect((await peer.call("echo", "hello")).result).toEqual({ ok: true, text: "hello\n[image]" });
    expect((await peer.call("add", '{"a": 2, "b": 40}')).result).toEqual({ ok: true, text: "42" });
  });

  test("an error that the tool reports is an observation", async () => {
    const { result } = await peer.call("echo", "wrong");
    expect(result).toEqual({ ok: true, text: "Error: wrong\n[image]", executionFailed: true });
  });

  const refused: readonly [claim: string, tool: string, input: string, text: string][] = [
    ["arguments that the server refuses", "add", '{"a": 2}', "Error: a and b are numbers"],
    ["no JSON", "add", "2 + 40", "Error: the call is not JSON."],
    ["no object", "add", "[2, 40]", "Error: the call is not a JSON object."],
    ["nothing", "echo", " ", "Error: the call is empty."],
  ];
  test.each(refused)("a call with %s is wrong, and not repeated", async (_, tool, input, text) => {
    const { result, attempts } = await peer.call(tool, input, { retries: 3 });
    expect(result).toMatchObject({ ok: false, reason: "invalid_call", text });
    expect(attempts).toBe(1);
  });

  test("an internal error is a failure without its cause for the policy", async () => {
    const { result } = await peer.call("echo", "broken");
    expect(result).toMatchObject({ ok: false, reason: "error", text: "Error: echo failed." });
    if (!result.ok) expect(result.detail).toContain("internal");
  });

  test("too large an answer is a failure", async () => {
    const { result } = await peer.call("echo", "much", { deadlineMs: 2000 });
    expect(result.ok).toBe(false);
    expect((await peer.call("echo", "still there", { retries: 1 })).result.ok).toBe(true);
  });

  test("a server that never answers is left at the deadline", async () => {
    const { result } = await peer.call("echo", "silence", { deadlineMs: 50 });
    expect(result).toMatchObject({ ok: false, reason: "timeout" });
    expect((await peer.call("echo", "still there")).result.ok).toBe(true);
  });
});

describe("a server's process", () => {
  test("that died is started anew by the next attempt", async () => {
    await using peer = await Peer.connect(STDIO);
    const { result, attempts } = await peer.call("echo", "die", { retries: 1 });
    expect(result).toMatchObject({ ok: false, reason: "error" });
    expect(attempts).toBe(2);
    expect((await peer.call("echo", "alive", { retries: 1 })).result.ok).toBe(true);
  });

  test("that is silent three times is started anew", async () => {
    await using peer = await Peer.connect(STDIO);
    const pid = async () => (await peer.call("echo", "pid")).result.text;
    const before = await pid();
    for (let i = 0; i < 3; i++) await peer.call("echo", "silence", { deadlineMs: 50 });
    expect(await pid()).not.toBe(before);
  });

  test("that writes what is no message is understood all the same", async () => {
    await using peer = await Peer.connect(STDIO);
    expect((await peer.call("echo", "garbage")).result.text).toBe("garbage\n[image]");
  });

  test("ends with its connection", async () => {
    const peer = await Peer.connect(STDIO);
    const pid = Number.parseInt((await peer.call("echo", "pid")).result.text, 10);
    await peer[Symbol.asyncDispose]();
    expect(() => process.kill(pid, 0)).toThrow();
  });

  test("that can't start says its last words", async () => {
    const command = [process.execPath, "-e", "console.error('no licence'); process.exit(1)"];
    const server = new McpServer({ ...STDIO, command }, 20_000);
    const error = await server.listTools().then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error!.message).toContain("no licence");
  });
});

describe("a server over HTTP", () => {
  const connect = (url: string): Promise<Peer> =>
    Peer.connect({ kind: "http", url, headers: { authorization: "Bearer x" } });

  test("that forgot the session is greeted again", async () => {
    using server = serveMcp();
    await using peer = await connect(server.url);
    server.forgetSessions();
    const { result, attempts } = await peer.call("echo", "hello", { retries: 1 });
    expect([result.ok, attempts]).toEqual([true, 2]);
    expect(server.methods.filter((method) => method === "initialize").length).toBe(2);
  });

  const failures: readonly [claim: string, response: () => Response, detail: RegExp][] = [
    ["500", () => new Response("boom", { status: 500 }), /500|boom/],
    ["garbage", () => new Response("<html>", { headers: { "content-type": "text/html" } }), /.+/],
  ];
  test.each(failures)("that answers %s fails, then works", async (_, response, detail) => {
    using server = serveMcp((call) => (call === 1 ? response() : undefined));
    await using peer = await connect(server.url);
    const { result } = await peer.call("echo", "hello");
    if (result.ok) throw new Error(result.text);
    expect(result.detail).toMatch(detail);
    expect((await peer.call("echo", "hello")).result.ok).toBe(true);
  });

  test("that is busy is asked again after the time that it asks for", async () => {
    const headers = { "retry-after": "0" };
    const busy = () => new Response("", { status: 429, headers });
    using server = serveMcp((call) => (call === 1 ? busy() : undefined));
    await using peer = await connect(server.url);
    const { result, attempts } = await peer.call("echo", "hello", { retries: 1 });
    expect([result.ok, attempts]).toEqual([true, 2]);
  });

  test("that nobody runs is an error at once", async () => {
    const gone = serveMcp();
    gone[Symbol.dispose]();
    await expect(connect(gone.url)).rejects.toThrow();
  });
});
