// The tools of an MCP server, from a recipe. Their list is kept in the recording, so that a replay
// needs no server.

import { resolve } from "node:path";
import { suggestion, UserError } from "../config/errors.ts";
import { filled } from "../config/placeholders.ts";
import type { ToolRecipeOf } from "../config/tool-recipe.ts";
import { resolveProgram } from "../tools/command.ts";
import type { McpToolInfo } from "../tools/mcp.ts";
import type { McpEndpoint, McpServer } from "../tools/mcp-server.ts";
import type { Tool } from "../tools/tool.ts";
import { environmentOf, mapValues, processEnvironment } from "./tool-environment.ts";
import type { KindRequest } from "./tool-kinds.ts";

type McpRequest = KindRequest<"mcp">;

/** Throws UserError where the server does not answer, or lacks tools that the recipe names. */
export async function openMcp(request: McpRequest): Promise<readonly Tool[]> {
  const { McpServer } = await import("../tools/mcp-server.ts"); // a large library
  const { McpTool } = await import("../tools/mcp.ts");
  const { name, spec } = request;
  const serverId = spec.url ?? spec.command!.join(" ");
  const server = new McpServer(endpointOf(request), spec.deadline_ms);
  try {
    const listed = await toolsOf(request, server, serverId);
    const infos = chosen(listed, spec, `tool.${name}.tools`);
    return infos.map((info) => new McpTool(info, server, serverId));
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function toolsOf(
  request: McpRequest,
  server: McpServer,
  serverId: string,
): Promise<readonly McpToolInfo[]> {
  const { name, recording, isReplay } = request;
  const settings = JSON.stringify({ server: serverId });
  const key = { kind: "mcp", settings, input: "tools/list" };
  if (!isReplay) {
    const listed = await listTools(request, server);
    recording?.note(key, JSON.stringify(listed));
    return listed;
  }
  const kept = recording?.find(key);
  if (kept !== undefined) return JSON.parse(kept.text) as readonly McpToolInfo[];
  const what = `the recording does not know the MCP server of tool ${name}`;
  throw new UserError(what, { where: recording?.path });
}

async function listTools(
  { name, spec }: McpRequest,
  server: McpServer,
): Promise<readonly McpToolInfo[]> {
  try {
    const listed = await server.listTools();
    return listed.map(({ name: tool, description, inputSchema }) => ({
      name: tool,
      description,
      inputSchema,
    }));
  } catch (error) {
    const what = `the MCP server of tool ${name} does not answer: ${(error as Error).message}`;
    throw new UserError(what, { where: spec.url ?? spec.command!.join(" ") });
  }
}

function endpointOf({ name, spec, isReplay }: McpRequest): McpEndpoint {
  const variable = isReplay ? () => "" : environmentOf(name, "headers");
  if (spec.url !== undefined) {
    const headers = mapValues(spec.headers, (text) => filled(text, (key) => `{${key}}`, variable));
    return { kind: "http", url: spec.url, headers };
  }
  const cwd = resolve(spec.cwd);
  const path = process.env["PATH"];
  const [program = "", ...args] = spec.command!;
  const found = isReplay ? program : resolveProgram(program, cwd, path, `tool.${name}`);
  const env = isReplay ? {} : processEnvironment(name, spec.env);
  return { kind: "stdio", command: [found, ...args], cwd, env };
}

function chosen(
  listed: readonly McpToolInfo[],
  { tools: names }: ToolRecipeOf<"mcp">,
  where: string,
): readonly McpToolInfo[] {
  const known = listed.map(({ name }) => name);
  if (known.length === 0) throw new UserError("the MCP server has no tools", { where });
  return (names ?? known).map((name) => {
    const found = listed.find((each) => each.name === name);
    if (found !== undefined) return found;
    const hint = suggestion(name, known);
    throw new UserError(`the MCP server has no tool "${name}"`, { where, hint });
  });
}
