// The tools that a recipe names, ready to be called. What can't work is an error here, before a run
// begins: a retriever is asked once, so that a run does not learn from a server that is not there.

import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { tagWord, type ToolRecipe, type ToolRecipeOf } from "../config/tool-recipe.ts";
import { ALMANAC, isOwnWorld } from "../config/data-recipe.ts";
import { ownPassages } from "../data/worlds.ts";
import { Bm25Index } from "../tools/bm25.ts";
import { RetrieverTool } from "../tools/retriever.ts";
import { SearchTool } from "../tools/search.ts";
import { callTool, textSpec, type Tool } from "../tools/tool.ts";
import { Toolbox, type ToolboxEntry, type ToolLimits } from "../tools/toolbox.ts";

/** Throws UserError where a tool can't work. The caller closes it. */
export async function openToolbox(recipe: Recipe): Promise<Toolbox> {
  const entries: ToolboxEntry[] = [];
  for (const [name, spec] of Object.entries(recipe.tool)) {
    entries.push({ tool: await openTool(name, spec, recipe), limits: limitsOf(spec), tag: tagWord(name, spec) });
  }
  return new Toolbox(entries, { seed: recipe.seed });
}

/** Tools by the names of the recipe's that are never called; nothing is opened. */
export function closedToolbox({ tool }: Recipe): Toolbox {
  const call = (): never => {
    throw new Error("a closed tool is not called");
  };
  const entries = Object.entries(tool).map(([name, spec]) => ({
    tool: { name, spec: textSpec("", "input", ""), call },
    limits: limitsOf(spec),
    tag: tagWord(name, spec),
  }));
  return new Toolbox(entries);
}

export function limitsOf(spec: ToolRecipe): ToolLimits {
  const { deadline_ms: deadlineMs, retries, backoff_ms: backoffMs, breaker } = spec;
  return {
    policy: { deadlineMs, retries, backoffMs },
    concurrency: spec.concurrency,
    breaker: { failures: breaker.failures, cooldownMs: breaker.cooldown_ms },
    maxObservationTokens: spec.max_observation_tokens,
  };
}

async function openTool(name: string, spec: ToolRecipe, recipe: Recipe): Promise<Tool> {
  switch (spec.kind) {
    case "search":
      return openSearch(spec, recipe);
    case "retriever":
      return openRetriever(spec);
    default:
      throw new UserError(`tools of kind ${spec.kind} can't be opened yet`, { where: `tool.${name}` });
  }
}

function openSearch({ top_k: topK }: ToolRecipeOf<"search">, { data }: Recipe): Tool {
  const named = [...data.train, ...(data.validation ?? [])].map(({ path }) => path);
  const worlds = named.filter(isOwnWorld);
  const passages = ownPassages(worlds.length > 0 ? worlds : [ALMANAC]);
  return new SearchTool(Bm25Index.build(passages), { topK, style: "plain" });
}

async function openRetriever(spec: ToolRecipeOf<"retriever">): Promise<Tool> {
  const { url, top_k: topK } = spec;
  const retriever = new RetrieverTool({ url, topK });
  const { result } = await callTool(retriever, "hello", limitsOf(spec).policy);
  if (result.ok) return retriever;
  const hint = "start it, or say where it is with --set tool.search.url=http://host:port/retrieve";
  throw new UserError(`the retriever does not answer: ${result.detail}`, { where: url, hint });
}
