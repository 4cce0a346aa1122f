// A connection to an MCP server, over stdio or streamable HTTP: it is made when it is needed, and
// made anew when the server died, forgot the session, or has been silent for some calls. The
// protocol is the library's. Not here: what a call of a tool is and what the policy reads (mcp.ts).

import { Client, SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type {
  CallToolResult,
  PriorDiscovery,
  Tool as ListedTool,
  Transport,
} from "@modelcontextprotocol/client";
import { DEFAULT_MAX_BYTES, retryAfterMs } from "./request.ts";
import { TryLaterError } from "./tool.ts";

export type McpEndpoint =
  | {
      readonly kind: "stdio";
      readonly command: readonly string[];
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    };

/** Calls in a row without an answer, after which a server's process is started anew. */
const MAX_SILENT = 3;
/** The longest message over stdio. */
const MAX_MESSAGE_BYTES = 4 * DEFAULT_MAX_BYTES;
const NO_TIMEOUT = 2 ** 31 - 1; // deadlines are callTool's
/** Of a server's last words, for people. */
const MAX_LAST_WORDS = 300;

export class McpServer implements AsyncDisposable {
  private connection: Promise<Client> | undefined;
  private current: Client | undefined;
  /** Once it is known, it is not asked again. */
  private speaks: PriorDiscovery | undefined;
  private readonly clients = new Set<Client>();
  private silent = 0;
  private lastWords = "";

  constructor(
    private readonly endpoint: McpEndpoint,
    private readonly connectMs: number,
  ) {}

  /** All tools, page after page. */
  async listTools(): Promise<readonly ListedTool[]> {
    const client = await this.client();
    return (await client.listTools()).tools;
  }

  async callTool(
    name: string,
    values: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<CallToolResult> {
    const client = await this.client();
    try {
      const request = { name, arguments: { ...values } };
      const result = await client.callTool(request, { signal, timeout: NO_TIMEOUT });
      this.silent = 0;
      return result;
    } catch (error) {
      this.noteFailure(error, signal.aborted);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection = undefined;
    await Promise.allSettled([...this.clients].map((client) => client.close()));
  }

  private async client(): Promise<Client> {
    const known = this.connection;
    if (known !== undefined && isAlive(await known)) return known;
    if (this.connection === known) this.connection = this.connect();
    return this.connection!;
  }

  private async connect(): Promise<Client> {
    const probe = { timeoutMs: this.connectMs };
    const client = new Client(
      { name: "icrl", version: "1" },
      { versionNegotiation: { mode: "auto", probe } },
    );
    client.onclose = () => this.forget(client);
    client.onerror = () => undefined; // what a call comes to is the call's
    this.clients.add(client);
    this.current = client;
    this.silent = 0;
    try {
      const known = this.speaks === undefined ? {} : { prior: this.speaks };
      await client.connect(this.transport(), { timeout: this.connectMs, ...known });
      const discover = client.getDiscoverResult();
      this.speaks = discover === undefined ? { kind: "legacy" } : { kind: "modern", discover };
      return client;
    } catch (error) {
      this.forget(client);
      await client.close().catch(() => undefined);
      throw this.withLastWords(error);
    }
  }

  private transport(): Transport {
    const { endpoint } = this;
    if (endpoint.kind === "http") {
      const { url, headers } = endpoint;
      const requestInit = { headers: { ...headers } };
      return new StreamableHTTPClientTransport(new URL(url), { requestInit, fetch: fetchLimited });
    }
    const [command = "", ...args] = endpoint.command;
    const transport = new StdioClientTransport({
      command,
      args,
      cwd: endpoint.cwd,
      env: { ...endpoint.env },
      stderr: "pipe",
      maxBufferSize: MAX_MESSAGE_BYTES,
    });
    this.lastWords = "";
    transport.stderr?.on("data", (chunk: Buffer) => {
      this.lastWords = (this.lastWords + chunk.toString()).slice(-MAX_LAST_WORDS);
    });
    return transport;
  }

  /** Calls that still wait for this client go on waiting. */
  private forget(client: Client): void {
    this.clients.delete(client);
    if (this.current === client) this.connection = undefined;
  }

  private noteFailure(error: unknown, timedOut: boolean): void {
    const lostSession = error instanceof SdkHttpError && [400, 404].includes(error.status);
    if (lostSession) this.connection = undefined;
    if (!timedOut) return;
    this.silent++;
    if (this.endpoint.kind !== "stdio" || this.silent < MAX_SILENT) return;
    const hung = this.connection;
    this.connection = undefined;
    void hung?.then((client) => client.close()).catch(() => undefined);
  }

  private withLastWords(error: unknown): unknown {
    const words = this.lastWords.trim().split("\n").at(-1) ?? "";
    if (words === "" || !(error instanceof Error)) return error;
    return new Error(`${error.message}: ${words}`, { cause: error });
  }
}

/** A process that is being closed takes no calls, long before it has ended. */
function isAlive({ transport }: Client): boolean {
  if (transport instanceof StdioClientTransport) return transport.pid !== null;
  return transport !== undefined;
}

/**
 * Answers end at a limit, and a busy server is asked again when it wants to be. What is too long in
 * an event stream is left at the deadline: the library goes on waiting for the rest.
 */
async function fetchLimited(url: string | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const waitMs = retryAfterMs(response, Date.now());
  if (waitMs !== undefined) throw new TryLaterError(`HTTP ${response.status}`, waitMs);
  if (response.body === null || init?.method !== "POST") return response;
  const { status, statusText, headers } = response;
  const limited = response.body.pipeThrough(limit(DEFAULT_MAX_BYTES));
  return new Response(limited, { status, statusText, headers });
}

function limit(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes <= maxBytes) controller.enqueue(chunk);
      else controller.error(new Error(`the answer has more than ${maxBytes} bytes`));
    },
  });
}
