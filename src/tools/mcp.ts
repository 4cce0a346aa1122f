// A tool of an MCP server. Name, description and parameters are the server's; of what a call gives
// back the policy reads the text. That the tool reports an error is an answer, too; an error of the
// protocol that blames the arguments is the call's fault. Not here: the connection (mcp-server.ts).

import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/client";
import type { CallToolResult } from "@modelcontextprotocol/client";
import { type Arguments, canonical, parseObject, withTextParameter } from "./arguments.ts";
import type { McpServer } from "./mcp-server.ts";
import type { RecordableTool } from "./recorded.ts";
import { InvalidCallError, type ToolAnswer, type ToolSpec } from "./tool.ts";

/** What is used of an entry of `tools/list`. */
export interface McpToolInfo {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputSchema: Readonly<Record<string, unknown>>;
}

export class McpTool implements RecordableTool {
  readonly name: string;
  readonly spec: ToolSpec;

  /** `serverId`: the command or address, as the recipe has it. */
  constructor(
    { name, description, inputSchema }: McpToolInfo,
    private readonly server: McpServer,
    private readonly serverId: string,
  ) {
    this.name = name;
    this.spec = withTextParameter(firstLine(description ?? name), inputSchema);
  }

  get identity() {
    return { kind: "mcp", settings: { server: this.serverId, tool: this.name } };
  }

  normalise(input: string): string {
    return canonical(this.values(input));
  }

  async call(input: string, signal: AbortSignal): Promise<ToolAnswer> {
    try {
      return answerOf(await this.server.callTool(this.name, this.values(input), signal));
    } catch (error) {
      if (error instanceof ProtocolError && error.code === ProtocolErrorCode.InvalidParams) {
        throw new InvalidCallError(firstLine(error.message));
      }
      throw error;
    }
  }

  /** Closes the server, for all of its tools. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  /** The server checks them. */
  private values(input: string): Arguments {
    const { textParameter } = this.spec;
    if (textParameter === undefined) return parseObject(input);
    if (input.trim() === "") throw new InvalidCallError("the call is empty.");
    return { [textParameter]: input.trim() };
  }
}

export function answerOf({ content, structuredContent, isError }: CallToolResult): ToolAnswer {
  const parts = content.map((part) => {
    if (part.type === "text") return part.text;
    if (part.type === "resource" && "text" in part.resource) return part.resource.text;
    return `[${part.type}]`;
  });
  const structured = structuredContent === undefined ? "" : JSON.stringify(structuredContent);
  const text = (parts.join("\n").trim() || structured || "(no output)").trim();
  if (isError !== true) return text;
  return { text: /^error/i.test(text) ? text : `Error: ${text}`, executionFailed: true };
}

const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";
