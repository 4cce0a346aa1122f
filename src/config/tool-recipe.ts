// The recipe's tools: a map of name -> what the tool is and how it is called, in the order in which
// the policy is told of them. `kind` says which it is, and can be left out for `search` and
// `python`. `null` takes an inherited tool away. Not here: opening them (train/open-tool.ts).

import { z } from "zod";
import { suggestion } from "./errors.ts";
import { isMap } from "./layer.ts";
import { placeholdersOf, textsIn } from "./placeholders.ts";

const count = z.int().positive();
const word = z.string().regex(/^[A-Za-z][\w-]*$/, "a word of letters, digits, '_' and '-'");
const line = z.string().regex(/^[^\n]+$/, "one line");
const address = (example: string) =>
  z.url({ protocol: /^https?$/, error: `an address like ${example}` });

/** What every kind of tool has. */
const common = {
  /** What the policy is told of it, in tool lists of chat templates. */
  description: line.optional(),
  /** The word of its tags; absent: `search`, `code` for `python`, else its name. */
  tag: word.optional(),
  /** A longer observation is cut inside and closed. */
  max_observation_tokens: count.default(500),
  /** Of one attempt, from the moment it begins. */
  deadline_ms: count.default(5000),
  /** Attempts after the first. */
  retries: z.int().min(0).default(2),
  /** Before the first retry; doubles with each, and varies by a quarter. */
  backoff_ms: count.default(100),
  /** Calls at the same time; more wait in order. */
  concurrency: count.default(64),
  /** So many failures in a row stop all calls for a while; then one is tried. */
  breaker: z
    .strictObject({ failures: count.default(20), cooldown_ms: count.default(10_000) })
    .prefault({}),
};

/** `true`: answers are kept in the run's folder; a file: there; `false`: nowhere. */
const recording = z.union([z.boolean(), z.string().min(1)], { error: "true, false or a file" });
const environment = z.record(z.string().regex(/^\w+$/, "a variable's name"), z.string());

/** Properties of a JSON schema by name; a type alone is short for {type}. */
const TYPES = ["string", "number", "integer", "boolean", "array", "object"] as const;
const parameters = z.record(
  z.string().regex(/^\w+$/, "a name of letters, digits and '_'"),
  z.preprocess(
    (value) => (typeof value === "string" ? { type: value } : value),
    z.looseObject({
      type: z.enum(TYPES, { error: `one of ${TYPES.join(", ")}` }),
      description: z.string().optional(),
    }),
  ),
);

/** Texts of a tool may name its parameters only. */
function refuseUnknownParameters(
  { value, issues }: { readonly value: object; readonly issues: z.core.$ZodRawIssue[] },
  keys: readonly string[],
  known: readonly string[],
): void {
  for (const key of keys) {
    const texts = textsIn((value as Readonly<Record<string, unknown>>)[key]);
    const used = texts.flatMap((text) => placeholdersOf(text).parameters);
    const unknown = used.find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    const hint = known.length === 0 ? "none can stand here" : `known: ${known.join(", ")}`;
    const message = `{${unknown}} is no parameter of the tool: ${hint}`;
    issues.push({ code: "custom", input: value, path: [key], message });
  }
}

/** A tool that says nothing of its parameters has one. */
const namesOf = (given: object = { input: {} }): readonly string[] => Object.keys(given);

interface Times {
  readonly deadline_ms: number;
  readonly time_ms: number;
}

/** A snippet that is stopped is something to read; a call whose deadline is over is a failure. */
function hasTimeLeft({ value, issues }: z.core.ParsePayload<Times>): void {
  if (value.deadline_ms > value.time_ms) return;
  const message = `deadline_ms is not above time_ms (${value.time_ms}): no snippet has that time`;
  issues.push({ code: "custom", input: value, path: ["deadline_ms"], message });
}

const kinds = {
  /** BM25 in this process. */
  search: z.strictObject({
    kind: z.literal("search"),
    ...common,
    /** A file of `icrl index`; absent: the almanac. */
    index: z.string().min(1).optional(),
    top_k: count.default(3),
    /** `titled`: Doc 1(Title: "T") text; absent: that with an index, else the texts alone. */
    style: z.enum(["plain", "titled"]).optional(),
  }),
  /** A retriever over HTTP, in the format of Search-R1's. */
  retriever: z.strictObject({
    kind: z.literal("retriever"),
    ...common,
    url: address("http://127.0.0.1:8000/retrieve"),
    /** The environment variable that holds its token, where it wants one. */
    token_env: word.optional(),
    top_k: count.default(3),
    recording: recording.default(true),
  }),
  /** Serper's web search. */
  serper: z.strictObject({
    kind: z.literal("serper"),
    ...common,
    url: address("https://google.serper.dev/search").default("https://google.serper.dev/search"),
    /** The environment variable that holds the key. */
    api_key_env: word.default("SERPER_API_KEY"),
    top_k: count.default(3),
    /** Country and language of the search. */
    gl: z.string().min(2).optional(),
    hl: z.string().min(2).optional(),
    concurrency: count.default(16),
    recording: recording.default(true),
  }),
  /** Python in a sandbox on this machine. */
  python: z
    .strictObject({
      kind: z.literal("python"),
      ...common,
      /** The interpreter: a program's name or path. */
      python: z.string().min(1).default("python3"),
      /** Of one snippet; the deadline also covers the start of a sandbox. */
      time_ms: count.default(5000),
      /** Address space of each process of a snippet. */
      memory_mb: count.default(512),
      /** Of a snippet's files. */
      disk_mb: count.default(64),
      /** A snippet that prints more is stopped. */
      output_bytes: count.default(16_384),
      /** Of one snippet, threads included. */
      processes: count.default(16),
      deadline_ms: count.default(60_000),
      retries: z.int().min(0).default(1),
      /** Snippets at the same time, each in a sandbox of its own. */
      concurrency: count.default(8),
    })
    .check(hasTimeLeft),
  /** Python in a SandboxFusion over HTTP. */
  sandbox_fusion: z
    .strictObject({
      kind: z.literal("sandbox_fusion"),
      ...common,
      url: address("http://127.0.0.1:8080/run_code"),
      /** Of one snippet; the deadline also covers the server's queue. */
      time_ms: count.default(5000),
      memory_mb: count.default(512),
      deadline_ms: count.default(30_000),
      recording: recording.default(true),
    })
    .check(hasTimeLeft),
  /** A program of this machine. No shell: an argument is an argument. */
  command: z
    .strictObject({
      kind: z.literal("command"),
      ...common,
      /** Program and arguments; `{name}` is a parameter, `{input}` the whole input. */
      command: z.array(z.string()).min(1),
      parameters: parameters.optional(),
      /** The folder it runs in. */
      cwd: z.string().min(1).default("."),
      /** All it gets beside PATH; `${NAME}` is taken from icrl's own. */
      env: environment.default({}),
      max_output_bytes: count.default(65_536),
      retries: z.int().min(0).default(0),
      concurrency: count.default(8),
      recording: recording.default(false),
    })
    .check((context) => {
      const known = [...new Set([...namesOf(context.value.parameters), "input"])];
      refuseUnknownParameters(context, ["command"], known);
    }),
  /** Any HTTP endpoint. */
  http: z
    .strictObject({
      kind: z.literal("http"),
      ...common,
      method: z.enum(["GET", "POST", "PUT"]).default("GET"),
      /** In this and in query and body `{name}` is a parameter; `${NAME}` is the environment's. */
      url: z.string().regex(/^https?:\/\/[^\s{}/]+/, "an address like https://host/path"),
      parameters: parameters.optional(),
      headers: z.record(z.string().min(1), z.string()).default({}),
      query: z.record(z.string().min(1), z.string()).default({}),
      /** A text, or what is sent as JSON. */
      body: z.union([z.string(), z.record(z.string(), z.json())]).optional(),
      /** A dotted path into the JSON answer; absent: the whole answer. */
      result: z.string().min(1).optional(),
      max_answer_bytes: count.default(1_048_576),
      recording: recording.default(true),
    })
    .check((context) => {
      const { value, issues } = context;
      const known = namesOf(value.parameters);
      refuseUnknownParameters(context, ["url", "query", "body"], known);
      refuseUnknownParameters(context, ["headers"], []);
      if (value.method !== "GET" || value.body === undefined) return;
      const message = "a GET has no body: say method: POST, or use query";
      issues.push({ code: "custom", input: value, path: ["body"], message });
    }),
  /** The tools of an MCP server. */
  mcp: z
    .strictObject({
      kind: z.literal("mcp"),
      ...common,
      /** Over stdio: the program that serves. */
      command: z.array(z.string()).min(1).optional(),
      cwd: z.string().min(1).default("."),
      env: environment.default({}),
      /** Over streamable HTTP. */
      url: address("http://127.0.0.1:3000/mcp").optional(),
      headers: z.record(z.string().min(1), z.string()).default({}),
      /** Of the server's tools only these; absent: all. */
      tools: z.array(z.string().min(1)).min(1).optional(),
      concurrency: count.default(16),
      recording: recording.default(false),
    })
    .check(({ value, issues }) => {
      if ((value.command === undefined) !== (value.url === undefined)) return;
      const message = "an MCP server is either a command or a url";
      issues.push({ code: "custom", input: value, path: [], message });
    }),
};

export type ToolKind = keyof typeof kinds;
export const TOOL_KINDS = Object.keys(kinds) as readonly ToolKind[];

const tool = z.discriminatedUnion("kind", [
  kinds.search,
  kinds.retriever,
  kinds.serper,
  kinds.python,
  kinds.sandbox_fusion,
  kinds.command,
  kinds.http,
  kinds.mcp,
]);
export type ToolRecipe = z.output<typeof tool>;
export type ToolRecipeOf<K extends ToolKind> = Extract<ToolRecipe, { readonly kind: K }>;
export type ToolRecipes = Readonly<Record<string, ToolRecipe>>;

/** In the type and in a frozen recipe each has its kind. */
export const tools = z.preprocess(withKinds, z.record(word, tool));

function withKinds(value: unknown, context: z.core.$RefinementCtx): unknown {
  if (!isMap(value)) return value;
  const present = Object.entries(value).filter(([, spec]) => spec !== null);
  if (present.length === 0) {
    context.addIssue({ code: "custom", path: [], message: "a recipe has at least one tool" });
    return z.NEVER;
  }
  const faults = present.flatMap(([name, spec]) => kindFault(name, spec));
  for (const fault of faults) context.addIssue(fault);
  if (faults.length > 0) return z.NEVER;
  return Object.fromEntries(present.map(([name, spec]) => [name, withKind(name, spec)]));
}

function withKind(name: string, spec: unknown): unknown {
  return isMap(spec) ? { ...spec, kind: kindOf(name, spec) } : spec;
}

/** An address makes the two that have names the client of a server. */
function kindOf(name: string, { kind = name, url }: Record<string, unknown>): unknown {
  if (kind === "search" && url !== undefined) return "retriever";
  if (kind === "python" && url !== undefined) return "sandbox_fusion";
  return kind;
}

function kindFault(name: string, spec: unknown) {
  if (!isMap(spec)) return [];
  const kind = kindOf(name, spec);
  if (TOOL_KINDS.some((known) => known === kind)) return [];
  const isSaid = "kind" in spec;
  const hint = isSaid ? suggestion(String(kind), TOOL_KINDS) : `known: ${TOOL_KINDS.join(", ")}`;
  const what = isSaid ? `there is no kind of tool "${String(kind)}"` : `tool.${name} has no kind`;
  const path = isSaid ? [name, "kind"] : [name];
  return [{ code: "custom" as const, path, message: `${what}: ${hint}` }];
}

/** Keys that name a file or a folder. */
export const TOOL_PATHS = ["index", "cwd", "recording"] as const;

/** The word of a tool's tags. */
export function tagWord(name: string, { tag }: Pick<ToolRecipe, "tag"> = {}): string {
  return tag ?? (name === "python" ? "code" : name);
}

/** Whether it can find what is not in the almanac, or compute. */
export function knowsMoreThanAlmanac(recipe: ToolRecipe): boolean {
  return recipe.kind !== "search" || recipe.index !== undefined;
}
