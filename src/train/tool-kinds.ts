// Each kind of tool, from what the recipe says to what can be called. What another program or a
// server has to do is asked for once, unless answers come from a recording; a fault is a UserError
// that names the tool.

import { resolve } from "node:path";
import { ALMANAC, isOwnWorld } from "../config/data-recipe.ts";
import { UserError } from "../config/errors.ts";
import { placeholdersOf, textsIn } from "../config/placeholders.ts";
import type { Recipe } from "../config/recipe.ts";
import type { ToolKind, ToolRecipe, ToolRecipeOf } from "../config/tool-recipe.ts";
import { ownPassages } from "../data/worlds.ts";
import { specOf } from "../tools/arguments.ts";
import { Bm25Index } from "../tools/bm25.ts";
import { CommandTool, resolveProgram } from "../tools/command.ts";
import { HttpTool } from "../tools/http.ts";
import { USUAL_PROGRAMS } from "../tools/python/host.ts";
import { DEFAULT_LIMITS } from "../tools/python/limits.ts";
import { PythonTool, pythonSpec } from "../tools/python/python-tool.ts";
import type { Recording } from "../tools/recording.ts";
import { RetrieverTool } from "../tools/retriever.ts";
import { SandboxFusionTool } from "../tools/sandbox-fusion.ts";
import { SearchTool } from "../tools/search.ts";
import { SerperTool } from "../tools/serper.ts";
import { callTool, type Tool, type ToolSpec } from "../tools/tool.ts";
import { openMcp } from "./open-mcp.ts";
import { environmentOf, processEnvironment } from "./tool-environment.ts";

export interface KindRequest<K extends ToolKind = ToolKind> {
  readonly name: string;
  readonly spec: ToolRecipeOf<K>;
  readonly recipe: Recipe;
  readonly recording: Recording | undefined;
  /** Answers come from the recording, and nobody is asked for anything. */
  readonly isReplay: boolean;
}

/** The tools of one entry: one, but of an MCP server any number. */
export async function openKind(request: KindRequest): Promise<readonly Tool[]> {
  const of = <K extends ToolKind>() => request as unknown as KindRequest<K>;
  switch (request.spec.kind) {
    case "search":
      return [openSearch(of<"search">())];
    case "retriever":
      return [await openRetriever(of<"retriever">())];
    case "serper":
      return [await openSerper(of<"serper">())];
    case "command":
      return [openCommand(of<"command">())];
    case "http":
      return [await openHttp(of<"http">())];
    case "mcp":
      return openMcp(of<"mcp">());
    case "python":
      return [await openPython(of<"python">())];
    case "sandbox_fusion":
      return [await openSandboxFusion(of<"sandbox_fusion">())];
  }
}

function openSearch({ name, spec, recipe: { data } }: KindRequest<"search">): Tool {
  const index = spec.index === undefined ? ownIndex(data) : Bm25Index.open(spec.index);
  const style = spec.style ?? (spec.index === undefined ? "plain" : "titled");
  const tool = new SearchTool(index, { topK: spec.top_k, style });
  return {
    name,
    spec: described(tool.spec, spec),
    call: (input) => tool.call(input),
    [Symbol.asyncDispose]: async () => index[Symbol.dispose](),
  };
}

function ownIndex({ train, validation = [] }: Recipe["data"]): Bm25Index {
  const worlds = [...train, ...validation].map(({ path }) => path).filter(isOwnWorld);
  return Bm25Index.build(ownPassages(worlds.length > 0 ? worlds : [ALMANAC]));
}

async function openRetriever(request: KindRequest<"retriever">): Promise<Tool> {
  const { name, spec, isReplay } = request;
  const { url, top_k: topK, token_env: variable } = spec;
  const isAsked = variable !== undefined && !isReplay;
  const token = isAsked ? environmentOf(name, "token_env")(variable) : undefined;
  const { spec: plain } = new RetrieverTool({ url, topK });
  const tool = new RetrieverTool({ url, topK, token }, name, described(plain, spec));
  if (isReplay) return tool;
  const hint = `start it, or say where it is with --set tool.${name}.url=http://host:port/retrieve`;
  await requireAnswer(tool, spec, "the retriever does not answer", { where: url, hint });
  return tool;
}

async function openSerper({ name, spec, isReplay }: KindRequest<"serper">): Promise<Tool> {
  const { url, top_k: topK, gl, hl, api_key_env: variable } = spec;
  const key = isReplay ? "" : environmentOf(name, "api_key_env")(variable);
  const { spec: plain } = new SerperTool(name, { url, key, topK });
  const tool = new SerperTool(name, { url, key, topK, gl, hl }, described(plain, spec));
  if (isReplay) return tool;
  const hint = `is ${variable} right?`;
  await requireAnswer(tool, spec, "the web search does not answer", { where: url, hint });
  return tool;
}

async function openPython({ name, spec }: KindRequest<"python">): Promise<Tool> {
  const { description, concurrency: workers, python } = spec;
  const limits = {
    ...DEFAULT_LIMITS,
    timeMs: spec.time_ms,
    memoryBytes: spec.memory_mb * 2 ** 20,
    diskBytes: spec.disk_mb * 2 ** 20,
    outputBytes: spec.output_bytes,
    processes: spec.processes,
  };
  const programs = { ...USUAL_PROGRAMS, python };
  return PythonTool.open({ name, description, workers, limits, programs });
}

async function openSandboxFusion(request: KindRequest<"sandbox_fusion">): Promise<Tool> {
  const { name, spec, isReplay } = request;
  const { url, time_ms: timeMs, memory_mb: memoryMb } = spec;
  const toolSpec = pythonSpec(spec.description);
  const tool = new SandboxFusionTool({ url, timeMs, memoryMb }, name, toolSpec);
  if (isReplay) return tool;
  const hint = `start it, or say where it is with --set tool.${name}.url=http://host:port/run_code`;
  await requireAnswer(tool, spec, "the sandbox does not answer", { where: url, hint }, "print(1)");
  return tool;
}

/** One question, as the policy's will be asked. */
async function requireAnswer(
  tool: Tool,
  { deadline_ms: deadlineMs, retries, backoff_ms: backoffMs }: ToolRecipe,
  what: string,
  place: { readonly where: string; readonly hint: string },
  question = "hello",
): Promise<void> {
  const { result } = await callTool(tool, question, { deadlineMs, retries, backoffMs });
  if (!result.ok) throw new UserError(`${what}: ${result.detail}`, place);
}

function openCommand({ name, spec, isReplay }: KindRequest<"command">): Tool {
  const where = `tool.${name}`;
  const cwd = resolve(spec.cwd);
  const path = process.env["PATH"];
  const program = isReplay ? "" : resolveProgram(spec.command[0]!, cwd, path, where);
  const env = isReplay ? {} : processEnvironment(name, spec.env);
  const variable = isReplay ? () => "" : environmentOf(name, "command");
  for (const part of spec.command) placeholdersOf(part).variables.forEach(variable);
  const toolSpec = specOf(spec.description ?? `Runs ${spec.command[0]}.`, spec.parameters);
  const { command, max_output_bytes: maxOutputBytes } = spec;
  return new CommandTool(
    name,
    toolSpec,
    { command, program, cwd, env, maxOutputBytes },
    variable,
  );
}

async function openHttp({ name, spec, isReplay }: KindRequest<"http">): Promise<Tool> {
  const { method, url, headers, query, body, result, max_answer_bytes: maxBytes } = spec;
  const variable = isReplay ? () => "" : environmentOf(name, "headers");
  for (const text of textsIn([url, headers, query, body]))
    placeholdersOf(text).variables.forEach(variable);
  const toolSpec = specOf(spec.description ?? `Asks ${new URL(url).host}.`, spec.parameters);
  const options = { method, url, headers, query, body, result, maxBytes };
  if (!isReplay) await requireListener(name, url, spec.deadline_ms);
  return new HttpTool(name, toolSpec, options, variable);
}

/** Any answer will do: what the endpoint makes of a call without parameters is its own affair. */
async function requireListener(name: string, url: string, deadlineMs: number): Promise<void> {
  const { origin } = new URL(url);
  try {
    const signal = AbortSignal.timeout(deadlineMs);
    const { body } = await fetch(origin, { method: "HEAD", redirect: "manual", signal });
    await body?.cancel();
  } catch (error) {
    const what = `nobody answers for tool ${name}: ${(error as Error).message}`;
    throw new UserError(what, { where: origin, hint: `start it, or change tool.${name}.url` });
  }
}

function described(plain: ToolSpec, { description }: ToolRecipe): ToolSpec {
  return description === undefined ? plain : { ...plain, description };
}
