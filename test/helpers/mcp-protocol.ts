// What an MCP server of tests answers to a message, written by hand from the protocol's
// specification: JSON-RPC 2.0 with initialize, tools/list and tools/call. Tools: `add` has two
// parameters, `echo` one text. Asking `echo` for certain words makes it fail in a certain way.

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly name?: string;
    readonly arguments?: Readonly<Record<string, unknown>>;
  };
}

const text = { type: "string", description: "what comes back" };
const number = { type: "number" };
const TOOLS = [
  {
    name: "echo",
    description: "Says what it is told.\nSecond line.",
    inputSchema: { type: "object", properties: { text }, required: ["text"] },
  },
  {
    name: "add",
    description: "Adds two numbers.",
    inputSchema: { type: "object", properties: { a: number, b: number }, required: ["a", "b"] },
  },
];

/** undefined: no answer. */
export function answerTo(message: Message): object | undefined {
  const { id, method, params } = message;
  if (id === undefined) return undefined;
  const outcome = outcomeOf(method, params ?? {});
  return outcome === undefined ? undefined : { jsonrpc: "2.0", id, ...outcome };
}

function outcomeOf(method: string, params: NonNullable<Message["params"]>): object | undefined {
  if (method === "initialize") {
    const { protocolVersion } = params;
    const serverInfo = { name: "tests", version: "1" };
    return { result: { protocolVersion, capabilities: { tools: {} }, serverInfo } };
  }
  if (method === "tools/list") return { result: { tools: TOOLS } };
  if (method === "tools/call") return called(params.name!, params.arguments ?? {});
  return { error: { code: -32601, message: `no method ${method}` } };
}

function called(name: string, values: Readonly<Record<string, unknown>>): object | undefined {
  if (name === "add") {
    const { a, b } = values;
    if (typeof a !== "number" || typeof b !== "number") {
      return { error: { code: -32602, message: "a and b are numbers" } };
    }
    return { result: { content: [{ type: "text", text: String(a + b) }] } };
  }
  const said = String(values["text"]);
  if (said === "silence") return undefined;
  if (said === "much") return { result: { content: [{ type: "text", text: "x".repeat(9e6) }] } };
  if (said === "broken") return { error: { code: -32603, message: "internal" } };
  const content = [
    { type: "text", text: said },
    { type: "image", data: "", mimeType: "image/png" },
  ];
  return { result: { content, isError: said === "wrong" } };
}
