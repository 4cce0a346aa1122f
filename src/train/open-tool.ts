// The tool that a recipe names, ready to be called. A retriever is asked once, so that a run does
// not learn from a server that is not there.

import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { almanac } from "../data/almanac.ts";
import { Bm25Index } from "../tools/bm25.ts";
import { RetrieverTool } from "../tools/retriever.ts";
import { SearchTool } from "../tools/search.ts";
import { callTool, type Tool } from "../tools/tool.ts";

/** Throws UserError when the retriever does not answer. */
export async function openTool({ tool }: Recipe): Promise<Tool> {
  const { url, top_k: topK, deadline_ms: deadlineMs, retries } = tool.search;
  if (url === undefined) {
    return new SearchTool(Bm25Index.build(almanac().passages), { topK, style: "plain" });
  }
  const retriever = new RetrieverTool({ url, topK });
  const { result } = await callTool(retriever, "hello", { deadlineMs, retries, backoffMs: 100 });
  if (result.ok) return retriever;
  const hint = "start it, or say where it is with --set tool.search.url=http://host:port/retrieve";
  throw new UserError(`the retriever does not answer: ${result.detail}`, { where: url, hint });
}
